"""The report in a terminal, and as Markdown for an issue tracker."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from diagkit.diagnosis.wording import (
    SIGNS,
    STATES,
    UNASKED,
    badge,
    place_line,
    reasons,
    small_print,
    verdict_kind,
)

if TYPE_CHECKING:
    from diagkit.diagnosis.report import Report

ON_PATH = "▶"
TOLD = ("supported", "undecided")  # of the questions below a heading
COLOURS = {"fault": "dark_orange3", "well": "green", "open": "grey50"}


def print_report(report: Report, console: Console | None = None) -> None:
    """Verdict, remedy and questions; colours only where the terminal has them."""
    console = console or Console()
    kind = verdict_kind(report)
    head = [Text(plain(report.headline)), Text(place_line(report), style="dim")]
    if report.top is not None and report.top.trial is not None:
        head.append(Text(plain(trial_line(report))))
    if report.top is not None and report.top.code:
        head.append(Text(f"\n{plain(report.top.code)}", style="bold"))
    title = Text(f"{SIGNS[kind]} {plain(report.cause)}")
    console.print(Panel(Group(*head), title=title, border_style=COLOURS[kind]))
    console.print(_ladder(report))
    console.print(Text(f"{ON_PATH} the path to the verdict; every question: report.to_frame()", style="dim"))
    for text in small_print(report):
        console.print(Text(plain(text), style="dim"))


def _ladder(report: Report) -> Table:
    """Headings with their answers, the path marked; below each what was found, and what was not asked."""
    table = Table("", "question", "measured answer", "leads to")
    for number, heading in enumerate(report.headings, 1):
        mark = f"{ON_PATH if heading.on_path else ' '} {number}"
        style = "bold" if heading.on_path else ""
        row = (mark, f"{heading.title} {STATES[heading.state]}", heading.answer, heading.onward)
        table.add_row(*(Text(plain(cell), style=style) for cell in row))
        below = [("", f"  {q.text}", q.answer, badge(q)) for q in heading.questions if q.verdict in TOLD]
        below += [
            (
                "",
                f"  {held[0].text if len(held) == 1 else f'{len(held)} questions'}",
                f"{UNASKED}{reason}",
                "",
            )
            for reason, held in reasons(heading.questions).items()
        ]
        for row in below:
            table.add_row(*(Text(plain(cell), style="dim") for cell in row))
        table.add_section()
    return table


def plain(text: str) -> str:
    """Without control characters: names and messages come from files, and a terminal obeys them.

    Example
    -------
    >>> plain("layer\\x1b[2J\\tone")
    'layer[2J\\tone'
    """
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) != "Cc")


def trial_line(report: Report) -> str:
    """The trial of the remedy in one line."""
    if report.top is None or report.top.trial is None:
        return ""
    trial = report.top.trial
    low, high = trial.interval
    return (
        f"Tried: {trial.remedy} against {trial.reference}, {len(trial.without)} seeds of "
        f"{int(trial.steps[-1])} steps: loss lower by {trial.effect:.3g} (95 % interval {low:.3g} to "
        f"{high:.3g})."
    )


def to_markdown(report: Report) -> str:
    """Headings in a table, the questions folded away; text is escaped, code is fenced."""
    kind = verdict_kind(report)
    lines = [f"## {SIGNS[kind]} {report.cause}", "", _text(report.headline), "", place_line(report), ""]
    if trial_line(report):
        lines += [_text(trial_line(report)), ""]
    if report.top is not None and report.top.code:
        fence = "`" * (1 + max([2, *(len(run) for run in re.findall("`+", report.top.code))]))
        lines += [f"{fence}python", report.top.code, fence, ""]
    lines += ["| | question | measured answer | leads to |", "|---|---|---|---|"]
    lines += [
        f"| {ON_PATH if h.on_path else ''} {number} | {_bold(h.title, h.on_path)} | {_cell(h.answer)} | "
        f"{_bold(h.onward, h.on_path)} |"
        for number, h in enumerate(report.headings, 1)
    ]
    lines += ["", "<details><summary>Every question</summary>", ""]
    lines += ["| question | measured answer | finding |", "|---|---|---|"]
    lines += [
        f"| {_cell(q.text)} | {_cell(q.answer)} | {_cell(badge(q))} |"
        for h in report.headings
        for q in h.questions
    ]
    lines += ["", "</details>", "", *(f"- {_text(text)}" for text in small_print(report))]
    if not report.complete:
        lines += ["", "Partial: the time was up or the work was stopped."]
    return "\n".join(lines).rstrip() + "\n"


def _bold(text: str, on_path: bool) -> str:
    return f"**{_cell(text)}**" if on_path else _cell(text)


def _cell(text: str) -> str:
    return _text(text.replace("\\", "\\\\").replace("|", "\\|"))


def _text(text: str) -> str:
    """One line that no reader of Markdown takes for HTML."""
    return " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;")
