"""The report as HTML: verdict first, then what to do, pictures, the ladder of questions."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING

from diagkit.diagnosis.report_html_ladder import LADDER_STYLE, ladder
from diagkit.diagnosis.wording import SIGNS, explanation, place_line, small_print, verdict_kind
from diagkit.result import Result

if TYPE_CHECKING:
    from diagkit.diagnosis.report import Finding, Report

# Colours of Okabe and Ito; every colour comes with a sign or a word.
STYLE = """
.dk-report{font-family:system-ui,sans-serif;font-size:15px;line-height:1.45;max-width:62em;
color:#111;background:#fff;padding:.6em .9em}
.dk-report .dk-head{border-left:.5em solid;padding:.5em .9em;margin:.3em 0}
.dk-report .dk-fault{border-color:#D55E00;background:#fdf1ea}
.dk-report .dk-well{border-color:#009E73;background:#e9f7f2}
.dk-report .dk-open{border-color:#6B6B6B;background:#f3f3f3}
.dk-report h3{margin:.1em 0;font-size:1.35em}.dk-report h4{margin:1em 0 .3em}
.dk-report pre{background:#f3f3f3;padding:.5em .8em;margin:.3em 0;overflow:auto;color:#111}
.dk-report table{border-collapse:collapse;margin:.3em 0}
.dk-report table td,.dk-report table th{font-size:15px;text-align:left;vertical-align:top;padding:.25em .7em;
border-bottom:1px solid #ddd;background:#fff;color:#111}
.dk-report .dk-pictures{display:flex;flex-wrap:wrap;gap:.6em}
.dk-report img{max-width:100%;height:auto}
.dk-report .dk-quiet{color:#555}
"""


KINDS = {
    "CriticalPoint": "the ends of the spectrum",
    "Escape": "the step off the saddle",
    "Trial": "the remedy tried",
    "History": "the log",
    "LossCurve": "the log",
    "GradientNoise": "the noise of the gradient",
}


def to_html(report: Report) -> str:
    """One fragment without scripts or outside resources; every text is escaped."""
    parts = [
        f"<style>{STYLE}{LADDER_STYLE}</style>",
        _head(report),
        _remedy(report.top),
        _pictures(report),
        ladder(report),
        _evidence(report),
        _small_print(report),
    ]
    return f'<div class="dk-report">{"".join(parts)}</div>'


def to_page(report: Report) -> str:
    """The fragment as a document of its own."""
    title = escape(f"diagkit: {report.cause}")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>'
        f'{title}</title><meta name="viewport" content="width=device-width"></head>'
        f"<body>{to_html(report)}</body></html>\n"
    )


def _head(report: Report) -> str:
    kind = verdict_kind(report)
    words = escape(report.headline if report.top is None else explanation(report.top))
    return (
        f'<div class="dk-head dk-{kind}"><h3>{SIGNS[kind]} {escape(report.cause)}</h3>'
        f"<p>{words}</p><p class='dk-quiet'>{escape(place_line(report))}</p></div>"
    )


def _remedy(top: Finding | None) -> str:
    if top is None or not top.remedy:
        return ""
    code = f"<pre>{escape(top.code)}</pre>" if top.code else ""
    return f"<h4>What to do</h4><p>{escape(top.remedy)}</p>{code}"


def _picture(result: Result, alt: str, width: int = 450, **options: object) -> str:
    data = base64.b64encode(result.to_png(**options)).decode()
    return f'<img width="{width}" alt="{escape(alt)}" src="data:image/png;base64,{data}">'


def _pictures(report: Report) -> str:
    """The surface, or else the curve, and the trial at once: where it is, and what helps."""
    pictures = []
    if report.surface is not None:
        pictures.append(_picture(report, "the loss around this point"))
    elif report.curve is not None:
        pictures.append(_picture(report.curve, "the loss over the steps of the run", width=640))
    if report.top is not None and report.top.trial is not None:
        trial = report.top.trial
        pictures.append(_picture(trial, f"trial: {trial.remedy} against {trial.reference}"))
    if not pictures:
        return ""
    heading = "Where it is" if report.surface is not None or report.curve is None else "The log"
    heading += ", and what helps" if len(pictures) > 1 else ""
    return f'<h4>{heading}</h4><div class="dk-pictures">{"".join(pictures)}</div>'


def _evidence(report: Report) -> str:
    """Everything else that can be looked at, one click away."""
    shown = []
    seen: set[int] = {id(report.top.trial)} if report.top is not None else set()
    if report.surface is None:
        seen.add(id(report.curve))  # it stands above already
    for finding in report.supported:
        for result in finding.evidence:
            if id(result) not in seen:
                seen.add(id(result))
                name = f"{finding.cause}: {KINDS.get(type(result).__name__, type(result).__name__)}"
                picture = _picture(result, name)
                shown.append(
                    f"<details><summary>{escape(name)}</summary>{picture}{result._repr_html_()}</details>"
                )
    if report.place is not None:
        shown.append(
            f"<details><summary>The place: {escape(report.place.verdict)}</summary>"
            f"<p>{escape(report.place.explanation)}</p>{report.place._repr_html_()}</details>"
        )
    return f"<h4>Evidence</h4>{''.join(shown)}" if shown else ""


def _small_print(report: Report) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in small_print(report))
    partial = "" if report.complete else "<p><b>Partial: the time was up or the work was stopped.</b></p>"
    if not items and not partial:
        return ""
    summary = "What was not asked, and how it was measured"
    return f"{partial}<details><summary>{summary}</summary><ul>{items}</ul></details>"
