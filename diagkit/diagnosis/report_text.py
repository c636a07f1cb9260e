"""The report in a terminal, and as Markdown for an issue tracker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from diagkit.diagnosis.wording import SIGNS, badge, place_line, verdict_kind

if TYPE_CHECKING:
    from diagkit.diagnosis.report import Report

COLOURS = {"fault": "dark_orange3", "well": "green", "open": "grey50"}


def print_report(report: Report, console: Console | None = None) -> None:
    """Verdict, remedy and questions; colours only where the terminal has them."""
    console = console or Console()
    kind = verdict_kind(report)
    head: list[Text | str] = [Text(report.headline), Text(place_line(report), style="dim")]
    if report.top is not None and report.top.trial is not None:
        head.append(Text(trial_line(report)))
    if report.top is not None and report.top.code:
        head.append(Text(f"\n{report.top.code}", style="bold"))
    console.print(Panel(Group(*head), title=f"{SIGNS[kind]} {report.cause}", border_style=COLOURS[kind]))
    table = Table("", "question", "measured answer", "finding", show_lines=False)
    for number, question in enumerate(report.questions, 1):
        table.add_row(*(Text(x) for x in (str(number), question.text, question.answer, badge(question))))
    console.print(table)
    for text in report.not_seen:
        console.print(Text(f"not asked: {text}", style="dim"))
    for text in report.notes:
        console.print(Text(f"note: {text}", style="dim"))


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
    """Headings, a table, and a code block; text in table cells is escaped."""
    kind = verdict_kind(report)
    lines = [f"## {SIGNS[kind]} {report.cause}", "", report.headline, "", place_line(report), ""]
    if trial_line(report):
        lines += [trial_line(report), ""]
    if report.top is not None and report.top.code:
        lines += ["```python", report.top.code, "```", ""]
    lines += ["| | question | measured answer | finding |", "|---|---|---|---|"]
    lines += [
        f"| {number} | {_cell(q.text)} | {_cell(q.answer)} | {_cell(badge(q))} |"
        for number, q in enumerate(report.questions, 1)
    ]
    lines += ["", *(f"- not asked: {text}" for text in report.not_seen)]
    lines += [f"- note: {text}" for text in report.notes]
    if not report.complete:
        lines += ["", "Partial: the time was up or the work was stopped."]
    return "\n".join(lines).rstrip() + "\n"


def _cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
