"""From findings to a report: rank them, name the cause, say what was not seen."""

from __future__ import annotations

from typing import Any

from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import Check
from diagkit.diagnosis.report import Finding, Question, Report
from diagkit.diagnosis.wording import statement


def assemble(
    case: Case,
    found: list[tuple[Check, Finding]],
    questions: list[Question],
    surface: Any,
    unused: list[str],
    stopped: bool,
    seconds: float,
) -> Report:
    """Supported findings first, each group in the order of cause before consequence."""
    order = {"supported": 0, "undecided": 1, "refuted": 2}
    ranked = sorted(found, key=lambda pair: (order[pair[1].verdict], pair[0].rank))
    findings = tuple(finding for _, finding in ranked)
    measured = case.__dict__
    cause = _cause(case, ranked, stopped)
    not_seen = [f"{q.text} ({q.answer.removeprefix('not asked: ')})" for q in questions if not q.asked]
    notes = list(case.objective.notes) if "objective" in measured else []
    if "objective" in measured and case.objective.num_examples < case.everything.num_examples:
        notes.append(
            f"measured on {case.objective.num_examples} of {case.everything.num_examples} examples, to stay "
            "within the budget"
        )
    if "bench" in measured:
        notes.append(
            f"trials: {case.bench.num_steps} plain steps of {case.batch_size} examples from this checkpoint"
            + ("" if case.optimizer is not None else ", with Adam at 0.001, since no optimizer was given")
        )
    meter = case.objective.meter if "objective" in measured else None
    return Report(
        cause=cause,
        headline=_headline(cause, findings),
        findings=findings,
        questions=tuple(questions),
        place=measured.get("place"),
        surface=surface,
        escape=measured.get("escape"),
        not_seen=(*not_seen, *unused),
        notes=tuple(notes),
        loss=measured.get("loss"),
        baseline=measured.get("baseline"),
        num_hvps=meter.num_hvps if meter else 0,
        num_evals=meter.num_evals if meter else 0,
        seconds=seconds,
        seed=case.seed,
        complete=not stopped,
    )


def _cause(case: Case, ranked: list[tuple[Check, Finding]], stopped: bool) -> str:
    """The top supported finding; else healthy, unless the run is stuck high for no reason found."""
    supported = [finding.cause for _, finding in ranked if finding.verdict == "supported"]
    if supported:
        return supported[0]
    if stopped or "objective" not in case.__dict__:
        return "undecided"
    stuck_high = case.is_high and not case.nothing_to_gain and case.is_stuck
    return "undecided" if stuck_high else "healthy"


def _headline(cause: str, findings: tuple[Finding, ...]) -> str:
    top = next((finding for finding in findings if finding.cause == cause), None)
    if cause == "healthy":
        return "Healthy: no fault was found."
    if top is None:
        return (
            "Undecided: the run is stuck and none of the questions asked explains it; see what was not asked."
        )
    return f"{statement(top)} {top.remedy}"
