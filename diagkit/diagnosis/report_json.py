"""The report as plain numbers and text, for programs: one schema, with a number."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from diagkit.diagnosis.wording import verdict_kind
from diagkit.result import Result

if TYPE_CHECKING:
    from diagkit.diagnosis.headings import Heading
    from diagkit.diagnosis.report import Finding, Question, Report

SCHEMA = 1  # raised when a key changes its meaning or goes; new keys may come without
STATES = {"fault": "fault", "well": "well", "open": "undecided"}


def to_dict(report: Report) -> dict[str, Any]:
    """Keys as in docs/reading-a-report.md; every value is what JSON knows."""
    return {
        "schema": SCHEMA,
        "cause": report.cause,
        "state": STATES[verdict_kind(report)],
        "headline": report.headline,
        "loss": plain_value(report.loss),
        "loss_error": plain_value(report.loss_error),
        "baseline": plain_value(report.baseline),
        "findings": [_finding(finding) for finding in report.findings],
        "headings": [_heading(heading) for heading in report.headings],
        "questions": [_question(question) for question in report.questions],
        "place": None if report.place is None else _result(report.place),
        "curve": None if report.curve is None else _result(report.curve),
        "not_seen": list(report.not_seen),
        "notes": list(report.notes),
        "price": {
            "num_hvps": report.num_hvps,
            "num_evals": report.num_evals,
            "seconds": plain_value(report.seconds),
        },
        "seed": report.seed,
        "complete": report.complete,
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "cause": finding.cause,
        "meaning": finding.meaning,
        "verdict": finding.verdict,
        "certainty": finding.certainty,
        "statement": finding.statement,
        "remedy": finding.remedy,
        "code": finding.code,
        "source": finding.source,
        "evidence": [_result(result) for result in finding.evidence],
        "trial": None if finding.trial is None else _result(finding.trial),
    }


def _heading(heading: Heading) -> dict[str, Any]:
    return {
        "group": heading.group,
        "title": heading.title,
        "answer": heading.answer,
        "state": heading.state,
        "on_path": heading.on_path,
        "leads_to": heading.leads_to,
        "causes": [question.cause for question in heading.questions],
    }


def _question(question: Question) -> dict[str, Any]:
    return {
        "text": question.text,
        "cause": question.cause,
        "group": question.group,
        "asked": question.asked,
        "answer": question.answer,
        "verdict": question.verdict,
        "seconds": plain_value(question.seconds),
    }


def _result(result: Result) -> dict[str, Any]:
    facts = {name: plain_value(value) for name, value in result.summary().items()}
    return {"kind": type(result).__name__, **facts}


def plain_value(value: Any) -> Any:
    """A value that JSON knows; NaN and infinities are None.

    Example
    -------
    >>> plain_value(np.float32(0.5)), plain_value(np.array([1.0, np.inf])), plain_value(np.int64(3))
    (0.5, [1.0, None], 3)
    """
    if isinstance(value, np.ndarray):
        return plain_value(value.tolist())
    if isinstance(value, (list, tuple)):
        return [plain_value(item) for item in value]
    if isinstance(value, np.generic):
        return plain_value(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (str, int)) else str(value)
