"""Words that the HTML, terminal and Markdown reports share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from diagkit.diagnosis.checks import all_checks

if TYPE_CHECKING:
    from diagkit.diagnosis.report import Finding, Question, Report

SIGNS = {"fault": "✗", "well": "✓", "open": "?"}
STATES = {"fault": "✗", "well": "✓", "clear": "", "open": "(open)", "unasked": ""}  # of a heading
UNASKED = "not asked: "


def verdict_kind(report: Report) -> str:
    """One of "fault", "well" (nothing to repair) or "open" (undecided)."""
    if report.cause == "undecided":
        return "open"
    outcomes = {check.cause for check in all_checks() if check.outcome} | {"healthy"}
    return "well" if report.cause in outcomes else "fault"


CERTAINTIES = {"proven": "proven", "tried": "shown by trial", "probable": "probable"}


def statement(finding: Finding) -> str:
    """Cause, certainty and meaning in one sentence."""
    sure = CERTAINTIES.get(finding.certainty, finding.certainty)
    return f"{finding.cause} ({sure}): {finding.meaning}."


def explanation(finding: Finding) -> str:
    """Meaning and certainty, for where the cause stands above it already."""
    sure = CERTAINTIES.get(finding.certainty, finding.certainty)
    return f"{finding.meaning[:1].upper()}{finding.meaning[1:]} ({sure})."


def place_line(report: Report) -> str:
    """Loss, what knowing nothing would cost, and the kind of place, as far as they were measured."""
    parts = []
    if report.loss is not None:
        known = "" if report.baseline is None else f" (a constant prediction reaches {report.baseline:.4g})"
        error = f" ± {report.loss_error:.2g}" if report.loss_error else ""
        parts.append(f"loss {report.loss:.4g}{error}{known}")
    if report.place is not None:
        low, high = float(report.place.smallest.values[0]), float(report.place.largest.values[0])
        parts.append(f"place: {report.place.verdict}, curvature from {low:.3g} to {high:.3g}")
    return "; ".join(parts) or "nothing could be measured"


def badge(question: Question) -> str:
    """What the answer means for the cause that was asked for."""
    if not question.asked:
        return "not asked"
    words = {"supported": f"✗ {question.cause}", "refuted": "–", "undecided": "? undecided"}
    outcomes = {check.cause for check in all_checks() if check.outcome}
    if question.verdict == "supported" and question.cause in outcomes:
        return f"✓ {question.cause}"
    return words[question.verdict]


def reasons(questions: Sequence[Question]) -> dict[str, list[Question]]:
    """Those that were not asked, by what was in the way; the most frequent reason first."""
    found: dict[str, list[Question]] = {}
    for question in questions:
        if not question.asked:
            found.setdefault(question.answer.removeprefix(UNASKED), []).append(question)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def unseen(question: Question) -> str:
    """An unasked question, with what would be needed."""
    return f"{question.text} ({question.answer.removeprefix(UNASKED)})"


def small_print(report: Report) -> list[str]:
    """What was not asked for, by reason; what else cannot be seen; how it was measured."""
    unasked = {unseen(question) for question in report.questions}
    return [
        *(f"{len(held)} not asked: {reason}" for reason, held in reasons(report.questions).items()),
        *(text for text in report.not_seen if text not in unasked),
        *(f"note: {text}" for text in report.notes),
    ]
