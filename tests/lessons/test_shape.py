"""The shape of a lesson: what every one has, and what none has too much of."""

import json
import re
import statistics
from pathlib import Path

import pytest

LESSONS = sorted((Path(__file__).resolve().parents[2] / "notebooks").glob("0[1-9]_*.ipynb"))
SECTIONS = ("## Predict", "## When it misleads", "## Your own model", "## Exercise", "## In three lines")
MOST_CELLS, MEDIAN_LINES, MOST_LINES, FIGURES = 15, 5, 12, 4
WORDS = (500, 900)


def cells(notebook, kind):
    found = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == kind]


def lines(source):
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in source.splitlines())


@pytest.mark.parametrize("notebook", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_has_its_parts_and_no_more(notebook):
    code, text = cells(notebook, "code"), cells(notebook, "markdown")
    assert text[0].splitlines()[0].startswith("# ")
    assert text[0].splitlines()[0].endswith("?"), "the title is a question"
    headings = [line for source in text for line in source.splitlines() if line.startswith("## ")]
    places = [next((i for i, h in enumerate(headings) if h.startswith(s)), None) for s in SECTIONS]
    assert None not in places, f"missing: {[s for s, p in zip(SECTIONS, places, strict=True) if p is None]}"
    assert places == sorted(places)
    assert len(code) <= MOST_CELLS
    assert statistics.median(map(lines, code)) <= MEDIAN_LINES
    assert max(map(lines, code)) <= MOST_LINES
    assert lines(code[0]) <= 6
    assert "SEED" in code[0]
    words = sum(len(re.findall(r"[\w'’]+", re.sub(r"\$[^$]*\$|```.*?```", "x", s, flags=re.S))) for s in text)
    assert WORDS[0] <= words <= WORDS[1], words
    assert any("Prediction(" in source for source in code)
    assert any(re.search(r"widgets\.\w+Panel\(", source) for source in code)
    assert any("panel.result" in source for source in code)
    assert any(re.search(r"\.check\(answer", source) for source in code)
    drawn = sum(len(re.findall(r"\.plot\(|subplots\(|\.imshow\(", source)) for source in code)
    assert drawn <= FIGURES + 1
    assert "**Sources" in text[-1]


def test_outputs_are_kept_only_where_they_are_compared():
    for notebook in LESSONS:
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
            tags = cell["metadata"].get("tags", [])
            assert ("keep_output" in tags) == ("nbval-check-output" in tags)
            if cell.get("outputs"):
                assert "keep_output" in tags
