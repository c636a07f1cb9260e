"""The report as people see it: verdict first, nothing from outside, text escaped."""

import io
import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser

import pytest
import torch
from rich.console import Console
from torch import nn

import diagkit as dk
from diagkit.diagnosis.report_text import print_report


@pytest.fixture(scope="module")
def report():
    X = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    for p in net.parameters():
        nn.init.zeros_(p)
    return dk.diagnose(net, nn.MSELoss(), (X, X.sum(1, keepdim=True)), budget=20)


class Tags(HTMLParser):
    """Collects tags and checks that they are closed."""

    VOID = ("img", "br", "meta")

    def __init__(self, text):
        super().__init__()
        self.seen, self.open = [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_has_the_verdict_first_and_nothing_from_outside(report):
    text = report.to_html()
    tags = Tags(text)
    assert text.index(report.cause) < text.index("What to do") < text.index("The questions that lead there")
    assert not [tag for tag, _ in tags.seen if tag in ("script", "link", "iframe")]
    sources = [attrs["src"] for tag, attrs in tags.seen if tag == "img"]
    assert len(sources) >= 2
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert all(attrs["alt"] for tag, attrs in tags.seen if tag == "img")
    assert not re.search(r"https?://", text)


EVIL = "<script>alert(1)</script>"


def test_html_and_markdown_escape_what_users_wrote(report):
    finding = replace(report.top, meaning=EVIL, remedy=EVIL, code=EVIL, statement=EVIL)
    question = replace(report.questions[0], answer=EVIL, text=EVIL)
    unasked = replace(report.questions[1], answer=f"not asked: {EVIL}", text=EVIL, asked=False, verdict="")
    bad = replace(
        report, headline=EVIL, findings=(finding,), questions=(question, unasked), notes=(EVIL,),
        not_seen=(EVIL,),
    )  # fmt: skip
    assert "<script" not in bad.to_page()
    assert "&lt;script&gt;" in bad.to_page()
    assert "<script" not in bad.to_markdown().replace(f"```python\n{EVIL}\n```", "")


def test_names_of_modules_are_text_and_nothing_else(short_trials):
    """In HTML, in Markdown, in a terminal, and in the pictures, where a dollar would begin a formula."""
    name = f"{EVIL}$\\frac{{$|`x`\x1b[2J\" onload='x'"
    X = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    net = nn.Sequential()
    for part, module in enumerate((nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))):
        net.add_module(f"{name}{part}", module)
    nn.init.constant_(net[0].bias, -100.0)
    bad = dk.diagnose(net, nn.MSELoss(), (X, X.sum(1, keepdim=True)), optimizer=sgd(net), budget=20)
    assert bad.cause == "dead-units"
    tags = Tags(bad.to_page())
    assert not [tag for tag, attrs in tags.seen if tag == "script" or any(a[:2] == "on" for a in attrs)]
    assert "<script" not in bad.to_markdown()
    assert "\x1b[2J" not in printed(bad)


def test_names_of_files_are_text_and_nothing_else(tmp_path):
    log = tmp_path / "<img src=x onerror=alert(1)>.csv"
    log.write_text("step,loss\n" + "\n".join(f"{n},{0.99**n}" for n in range(50)), encoding="utf-8")
    text = dk.diagnose_history(log).to_page()
    assert "<img src=x" not in text
    assert "&lt;img src=x" in text


def test_markdown_has_tables_that_survive_pipes_and_newlines(report):
    question = replace(report.questions[0], answer="a | b\nc")
    text = replace(report, questions=(question,)).to_markdown()
    row = next(line for line in text.splitlines() if line.startswith(f"| {question.text}"))
    assert row.count("|") - row.count("\\|") == 4
    assert report.cause in text.splitlines()[0]


def test_markdown_code_cannot_leave_its_fence(report):
    finding = replace(report.top, code="x = 1\n```\n# not code")
    text = replace(report, findings=(finding,)).to_markdown()
    assert "````python\nx = 1\n```\n# not code\n````" in text


def sgd(net):
    return torch.optim.SGD(net.parameters(), lr=0.05)


def printed(report):
    with io.StringIO() as file:
        print_report(report, Console(width=160, file=file))
        return file.getvalue()


def test_terminal_shows_verdict_trial_and_the_path(report):
    text = printed(report)
    assert report.cause in text.splitlines()[0]
    assert "Tried:" in text
    for heading in report.headings:
        assert heading.title.split(":")[0][:20] in text
    assert text.count("▶") == 1 + sum(heading.on_path for heading in report.headings)
    assert f"verdict: {report.cause}" in " ".join(text.split())
    for question in report.questions:
        if not question.asked:
            assert question.answer.removeprefix("not asked: ")[:25] in text


def test_html_marks_the_path_and_folds_the_questions(report):
    text = report.to_html()
    tags = Tags(text)
    items = [attrs.get("class", "") for tag, attrs in tags.seen if tag == "li" and "class" in attrs]
    assert [("dk-on" in classes) for classes in items] == [heading.on_path for heading in report.headings]
    assert sum("dk-fault" in classes for classes in items) == 1
    assert sum(tag == "details" for tag, _ in tags.seen) > len(report.headings)
    for question in report.questions:
        assert question.text in unescape(text)


def test_frame_has_a_row_for_each_question(report):
    frame = report.to_frame()
    assert len(frame) == len(report.questions)
    json.loads(frame.to_json())


def test_repr_is_short_and_the_same_for_the_same_seed(report):
    assert len(repr(report)) < 200
    assert repr(report) == repr(replace(report, seconds=99.0))


def test_pictures_are_the_same_bytes_each_time(report):
    assert report.to_png() == report.to_png()
    assert report.top.trial.to_png().startswith(b"\x89PNG")


def test_partial_reports_say_so(report):
    partial = replace(report, complete=False)
    assert "Partial" in partial.to_html()
    assert "Partial" in partial.to_markdown()


def test_a_report_without_measurements_can_be_shown():
    net = nn.Linear(2, 1)
    with torch.no_grad():
        net.weight[0, 0] = float("nan")
    report = dk.diagnose(net, nn.MSELoss(), (torch.ones(4, 2), torch.ones(4, 1)))
    assert report.cause == "non-finite"
    Tags(report.to_html())
    assert report.to_png().startswith(b"\x89PNG")
    assert "non-finite" in report.to_markdown()
