"""The report as people see it: verdict first, nothing from outside, text escaped."""

import json
import re
from dataclasses import replace
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
    assert text.index(report.cause) < text.index("What to do") < text.index("The questions")
    assert not [tag for tag, _ in tags.seen if tag in ("script", "link", "iframe")]
    sources = [attrs["src"] for tag, attrs in tags.seen if tag == "img"]
    assert len(sources) >= 2
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert all(attrs["alt"] for tag, attrs in tags.seen if tag == "img")
    assert not re.search(r"https?://", text)


def test_html_escapes_what_users_wrote(report):
    evil = "<script>alert(1)</script>"
    finding = replace(report.top, meaning=evil, remedy=evil, code=evil, statement=evil)
    question = replace(report.questions[0], answer=evil, text=evil)
    bad = replace(
        report, headline=evil, findings=(finding,), questions=(question,), notes=(evil,), not_seen=(evil,)
    )
    assert "<script>" not in bad.to_html()
    assert "&lt;script&gt;" in bad.to_html()


def test_markdown_is_a_table_that_survives_pipes_and_newlines(report):
    question = replace(report.questions[0], answer="a | b\nc")
    text = replace(report, questions=(question,)).to_markdown()
    row = next(line for line in text.splitlines() if line.startswith("| 1 |"))
    assert row.count("|") - row.count("\\|") == 5
    assert report.cause in text.splitlines()[0]


def test_terminal_shows_verdict_trial_and_every_question(report):
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    print_report(report, console)
    text = console.export_text()
    console.file.close()
    assert report.cause in text.splitlines()[0]
    assert "Tried:" in text
    for question in report.questions:
        assert question.text.split()[0] in text


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
