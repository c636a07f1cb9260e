"""From findings to a report: rank them, name the cause, say what was not seen."""

from __future__ import annotations

from typing import Any

from diagkit.diagnosis.case import Case
from diagkit.diagnosis.ladder import Ladder, rank, top_supported
from diagkit.diagnosis.own_step.observe import notes_of
from diagkit.diagnosis.report import Finding, Report
from diagkit.diagnosis.sampling import SURE, loss_error
from diagkit.diagnosis.wording import statement, unseen


def assemble(
    case: Case,
    ladder: Ladder,
    surface: Any,
    stopped: bool,
    seconds: float,
) -> Report:
    """Rank what was found, name the cause, and say how it was measured."""
    findings = rank(ladder.found)
    measured = case.__dict__
    cause = top_supported(findings) or without_fault(case, stopped)
    not_seen = [unseen(question) for question in ladder.questions if not question.asked]
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
    notes += notes_of(case)
    meter = case.objective.meter if "objective" in measured else None
    return Report(
        cause=cause,
        headline=_headline(cause, findings),
        findings=findings,
        questions=tuple(ladder.questions),
        place=measured.get("place"),
        surface=surface,
        escape=measured.get("escape"),
        curve=measured.get("curve"),
        not_seen=tuple(not_seen),
        notes=tuple(notes),
        loss=measured.get("loss"),
        baseline=measured.get("baseline"),
        high=measured.get("high"),
        loss_error=0.0 if stopped or "loss" not in measured else loss_error(case),
        num_hvps=meter.num_hvps if meter else 0,
        num_evals=meter.num_evals if meter else 0,
        seconds=seconds,
        seed=case.seed,
        complete=not stopped,
    )


def without_fault(case: Case, stopped: bool) -> str:
    """Healthy, unless the run is stuck high for no reason found."""
    if stopped or "objective" not in case.__dict__:
        return "undecided"
    # High within the error of the examples that were measured is high enough to claim no health.
    perhaps_high = case.loss + SURE * loss_error(case) > case.high
    stuck_high = perhaps_high and not case.nothing_to_gain and case.is_stuck
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
