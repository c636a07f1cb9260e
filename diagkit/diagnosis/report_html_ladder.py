"""The ladder in HTML: headings on a rail, the path to the verdict drawn in, questions folded away."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from diagkit.diagnosis.wording import STATES, badge, reasons, verdict_kind

if TYPE_CHECKING:
    from diagkit.diagnosis.headings import Heading
    from diagkit.diagnosis.report import Question, Report

# Blue of Okabe and Ito for the path, which is thick as well and says where it leads.
LADDER_STYLE = """
.dk-report ol.dk-ladder{list-style:none;margin:.3em 0;padding:0}
.dk-report .dk-ladder>li{margin:0;padding:.35em 0 .55em 1.1em;border-left:.15em dashed #bbb;
margin-left:.9em;position:relative}
.dk-report .dk-ladder>li.dk-on{border-left:.35em solid #0072B2;margin-left:.8em}
.dk-report .dk-ladder .dk-step{position:absolute;left:-.85em;top:.3em;width:1.5em;height:1.5em;
border-radius:50%;text-align:center;font-weight:bold;line-height:1.5em;background:#fff;color:#555;
border:1px solid #bbb}
.dk-report .dk-ladder .dk-on .dk-step{background:#0072B2;color:#fff;border-color:#0072B2}
.dk-report .dk-ladder .dk-title{font-weight:bold;margin-left:.4em}
.dk-report .dk-ladder .dk-leads{color:#0072B2;font-weight:bold}
.dk-report .dk-ladder p{margin:.1em 0 .1em .4em}
.dk-report .dk-ladder details{margin-left:.4em;color:#555}
"""


def ladder(report: Report) -> str:
    """Every heading with its answer; on the path, where it leads."""
    told = report.headings
    last = max((n for n, heading in enumerate(told, 1) if heading.on_path), default=0)
    items = "".join(
        _heading(n, heading, verdict_kind(report) if n == last else "") for n, heading in enumerate(told, 1)
    )
    return (
        "<h4>The questions that lead there</h4><p class='dk-quiet'>The thick line is the path to the "
        f"verdict.</p><ol class='dk-ladder'>{items}</ol>"
    )


def _heading(number: int, heading: Heading, verdict: str) -> str:
    """``verdict`` : its kind at the end of the path, else empty."""
    classes = f"dk-on dk-{verdict}" if verdict else "dk-on" if heading.on_path else "dk-quiet"
    arrow = f'<p class="dk-leads">{escape(heading.onward)}</p>' if heading.on_path else ""
    return (
        f'<li class="{classes}"><span class="dk-step">{number}</span> '
        f'<span class="dk-title">{escape(heading.title)}</span> {STATES[heading.state]}'
        f"<p>{escape(heading.answer)}</p>{arrow}{_questions(heading.questions)}</li>"
    )


def _questions(questions: Sequence[Question]) -> str:
    """Asked ones as a table, the others by what was in the way: all one click away."""
    asked = [question for question in questions if question.asked]
    rows = "".join(
        f'<tr><th scope="row">{escape(q.text)}</th><td>{escape(q.answer)}</td>'
        f"<td>{escape(badge(q))}</td></tr>"
        for q in asked
    )
    table = f"<table><tbody>{rows}</tbody></table>" if rows else ""
    unasked = "".join(
        f"<li>{escape(reason)}<ul>{''.join(f'<li>{escape(q.text)}</li>' for q in held)}</ul></li>"
        for reason, held in reasons(questions).items()
    )
    without = f"<p>Not asked:</p><ul>{unasked}</ul>" if unasked else ""
    if not questions:
        return ""
    summary = f"{len(asked)} asked, {len(questions) - len(asked)} not asked"
    return f"<details><summary>{summary}</summary>{table}{without}</details>"
