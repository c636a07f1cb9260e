"""``diagkit triage``: what it prints, what it writes, and its exit status."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest

from diagkit import cli


def log(folder, loss, name="log.csv", extra=""):
    path = folder / name
    rows = "".join(f"{t},{value}\n" for t, value in enumerate(loss))
    path.write_text(f"step,loss\n{rows}{extra}")
    return str(path)


FALLING = np.linspace(2.0, 1.0, 100)
JUMP = np.concatenate([np.linspace(2.0, 1.0, 70), np.full(30, 5.0)])
FLAT = np.full(100, 2.3)


@pytest.mark.parametrize(
    ("loss", "cause", "status"),
    [
        (FALLING, "still-improving", 0),
        (JUMP, "learning-rate-too-large", 1),
        (FLAT, "undecided", 1),
        ([2.0, 1.0], "undecided", 1),
        ([*FALLING, float("nan")], "non-finite", 1),
    ],
)
def test_status_and_first_line(tmp_path, capsys, loss, cause, status):
    assert cli.main(["triage", log(tmp_path, loss)]) == status
    said = capsys.readouterr().out
    assert cause in said.splitlines()[0]


def refuse(value):
    raise AssertionError(f"{value} is no JSON")


@pytest.mark.parametrize("loss", [FALLING, JUMP, [1.0], [*FALLING, float("inf")]])
def test_json_is_json(tmp_path, capsys, loss):
    status = cli.main(["triage", log(tmp_path, loss), "--json"])
    report = json.loads(capsys.readouterr().out, parse_constant=refuse)
    assert report["schema"] == 1
    assert status == (0 if report["state"] == "well" else 1)
    assert {
        "cause",
        "headline",
        "findings",
        "questions",
        "not_seen",
        "notes",
        "curve",
        "price",
    } <= report.keys()
    assert [f["verdict"] for f in report["findings"]].count("supported") <= 1
    json.dumps(report, allow_nan=False)


class Resources(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.tags = [], set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.found += [value for name, value in attrs if name in ("src", "href", "srcset", "data")]


def test_html_is_one_file(tmp_path, capsys):
    target = tmp_path / "report.html"
    assert cli.main(["triage", log(tmp_path, JUMP), "--html", str(target), "--json"]) == 1
    json.loads(capsys.readouterr().out)
    text = target.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    page = Resources(text)
    assert page.found
    assert all(value.startswith("data:image/png;base64,") for value in page.found)
    assert "script" not in page.tags
    assert "learning-rate-too-large" in text


def test_what_stood_in_the_log_is_escaped(tmp_path, capsys):
    target = tmp_path / "report.html"
    evil = "<script>alert(1)</script>"
    path = log(tmp_path, FALLING, name=f"{evil.replace('/', '')}.csv", extra=f"100,{evil}\n")
    assert cli.main(["triage", path, "--html", str(target), "--markdown"]) == 0
    assert "<script" not in target.read_text(encoding="utf-8")
    assert "&lt;script" in target.read_text(encoding="utf-8")
    assert capsys.readouterr().out.startswith("## ")


def test_damage_is_named(tmp_path, capsys):
    path = log(tmp_path, FALLING, extra="100,oops\n101,0.")
    for shape in ([], ["--markdown"], ["--json"]):
        assert cli.main(["triage", path, *shape]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "'oops'" in said
        assert "line 103 is cut short" in said


@pytest.mark.parametrize("name", ["nothing.csv", "empty.csv", "model.pt", ""])
def test_what_cannot_be_read_ends_with_two(tmp_path, capsys, name):
    (tmp_path / "empty.csv").touch()
    (tmp_path / "model.pt").touch()
    assert cli.main(["triage", str(tmp_path / name)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("diagkit: ")
    assert "Traceback" not in shown.err


def test_a_page_that_cannot_be_written_ends_with_two(tmp_path, capsys):
    path = log(tmp_path, FALLING)
    assert cli.main(["triage", path, "--html", str(tmp_path / "no" / "folder.html")]) == 2
    assert "folder.html" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [["triage"], ["triage", "a", "--fast"], ["triage", "a", "--json", "--markdown"]]
)
def test_wrong_arguments_end_with_two(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    assert left.value.code == 2
    assert "usage: diagkit" in capsys.readouterr().err
