"""At the bottom that this data and model allow: nothing to repair."""

from __future__ import annotations

from typing import Any

from diagkit.diagnosis import arms
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import (
    REFUTED,
    SUPPORTED_BY_TRIAL,
    SUPPORTED_PROBABLY,
    Check,
    Evidence,
    Judgement,
)
from diagkit.diagnosis.trial import Arm

LEVEL_SLOPE = 0.05  # relative slope below which the ground counts as level


def measure(case: Case) -> Evidence:
    numbers: dict[str, Any] = {
        "slope": case.relative_slope,
        "verdict": case.place.verdict,
        "loss": case.loss,
        "share": case.loss / case.unit,
        "stuck": None,
        "any_help": False,
        "tried": 0,
        "low": case.nothing_to_gain,
    }
    if case.nothing_to_gain:
        return Evidence(numbers, (case.place,))
    tried = [case.try_out(arm) for arm in _arms(case)]
    numbers |= {
        "stuck": case.is_stuck,
        "any_help": any(case.helps(trial) for trial in tried),
        "tried": len(tried),
    }
    best = max(tried, key=lambda trial: trial.effect)
    return Evidence(numbers, (case.place, best), best)


def _arms(case: Case) -> list[Arm]:
    """What else could have lowered the loss; most have run already."""
    rates = [arms.rate_times(f) for f in (0.1, 10.0)]
    return [*rates, arms.LARGER_BATCH] if case.batch_size < case.everything.num_examples else rates


def judge(evidence: Evidence) -> Judgement:
    level = evidence["verdict"] == "minimum-within-tolerance" or evidence["slope"] <= LEVEL_SLOPE
    if not level:
        return REFUTED
    if evidence["low"]:
        return SUPPORTED_PROBABLY
    return SUPPORTED_BY_TRIAL if evidence["stuck"] and not evidence["any_help"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    state = (
        f"loss {evidence['loss']:.4g}, {100 * evidence['share']:.2g} % of that of knowing nothing, "
        f"relative slope {evidence['slope']:.2g}"
    )
    if judgement.verdict == "supported":
        tried = (
            f"; none of {evidence['tried']} changes of rate or batch gained anything"
            if evidence["tried"]
            else ""
        )
        return f"Yes: {state}{tried}."
    return f"Not shown: {state}."


CHECK = Check(
    cause="converged",
    meaning="at the bottom that this data and model allow",
    question="Is this the bottom?",
    rung=10,
    rank=21,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: "Nothing to repair. For a lower loss change the data or the model.",
    source="no change of rate or batch gains anything, and the ground is level",
    outcome=True,
)
