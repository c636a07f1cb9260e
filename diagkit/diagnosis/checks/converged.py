"""At the bottom that this data and model allow: nothing to repair."""

from __future__ import annotations

from typing import Any

import numpy as np

from diagkit.diagnosis import arms, scales
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import (
    REFUTED,
    SUPPORTED_BY_TRIAL,
    SUPPORTED_PROBABLY,
    UNDECIDED,
    Check,
    Evidence,
    Judgement,
)
from diagkit.diagnosis.sampling import SURE, loss_error, relative_error, slope_error
from diagkit.diagnosis.trial import Arm, Trial

LEVEL_SLOPE = 0.05  # relative slope below which the ground counts as level
MINIMUM = "minimum-within-tolerance"


def measure(case: Case) -> Evidence:
    slope = case.relative_slope
    noise = slope_error(case) if slope > LEVEL_SLOPE else 0.0
    numbers: dict[str, Any] = {
        "minimum": any(place.verdict == MINIMUM for place in case.place_seen),
        "slope": slope,
        "least_slope": float(np.sqrt(max(slope**2 - noise**2, 0.0))),
        "loss": case.loss,
        "share": case.loss / case.unit,
        "error": loss_error(case),
        "low": False,
        "stuck": None,
        "level_log": None,
        "any_help": False,
        "gain": None,
        "open": False,
        "tried": 0,
    }
    at_most = case.loss + SURE * numbers["error"]
    if case.nothing_to_gain and at_most <= scales.MATERIAL_UNIT * case.unit:
        return Evidence(numbers | {"low": True}, case.place_seen)
    tried = {arm: case.try_out(arm) for arm in _arms(case)}
    promising = max(tried, key=lambda arm: tried[arm].effect)
    numbers["any_help"] = any(case.helps(trial) for trial in tried.values())
    best = tried[promising]
    if not numbers["any_help"] and case.is_material(most_gain(case, best)):
        # It has shown no gain; that there is none takes every seed.
        for arm in (arms.AS_IS, promising):
            case.bench.run(arm)
        best = case.try_out(promising)
    numbers |= {"stuck": case.is_stuck, "level_log": has_surely_stopped(case), "tried": len(tried)}
    numbers["gain"] = most_gain(case, best)
    numbers["open"] = case.is_material(numbers["gain"])
    return Evidence(numbers, (*case.place_seen, best), best)


def _arms(case: Case) -> list[Arm]:
    """What else could have lowered the loss; most have run already."""
    rates = [arms.rate_times(f) for f in (0.1, 10.0)]
    return [*rates, arms.LARGER_BATCH] if case.batch_size < case.everything.num_examples else rates


def most_gain(case: Case, trial: Trial) -> float:
    """What a change may gain: the upper end of its interval, and of the error of the examples looked at.

    Counted against going on and against the present loss. A change that ended higher promises nothing.
    """
    if trial.effect <= 0:
        return 0.0
    most = min(trial.effect, case.loss - trial.level) + trial.interval[1] - trial.effect
    return most * (1.0 + SURE * relative_error(case))


def has_surely_stopped(case: Case) -> bool:
    """By the log or by going on as before: a fall worth speaking of lies outside the interval."""
    worth = scales.STILL_FALLING * case.unit
    if case.trend is not None and case.trend.fall + SURE * case.trend.sem < worth:
        return True
    mean, half = case.drift
    return (mean + half) * (1.0 + SURE * relative_error(case)) < worth


def judge(evidence: Evidence) -> Judgement:
    if not evidence["minimum"] and evidence["least_slope"] > LEVEL_SLOPE:
        return REFUTED
    if not evidence["low"] and (evidence["any_help"] or not evidence["stuck"]):
        return REFUTED
    if not evidence["minimum"] and evidence["slope"] > LEVEL_SLOPE:
        return UNDECIDED  # level on all data, perhaps: the slope may be noise of the sample
    if evidence["low"]:
        return SUPPORTED_PROBABLY
    return SUPPORTED_BY_TRIAL if evidence["level_log"] and not evidence["open"] else UNDECIDED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    error = f" ± {evidence['error']:.2g}" if evidence["error"] else ""
    state = (
        f"loss {evidence['loss']:.4g}{error}, {100 * evidence['share']:.2g} % of that of knowing nothing, "
        f"relative slope {evidence['slope']:.2g}"
    )
    if judgement.verdict == "supported":
        tried = (
            f"; none of {evidence['tried']} changes of rate or batch gained anything"
            if evidence["tried"]
            else ""
        )
        return f"Yes: {state}{tried}."
    if judgement.verdict == "undecided":
        return f"Open: {state}; {_doubt(evidence)}."
    return f"Not shown: {state}."


def _doubt(evidence: Evidence) -> str:
    """What lies within its error."""
    if not evidence["minimum"] and evidence["slope"] > LEVEL_SLOPE:
        return "that slope may be noise of the examples that were measured; all of them would tell"
    if evidence["open"]:
        return f"a change of rate or batch may still gain up to {evidence['gain']:.2g}, within the error"
    return "whether it still falls is within the noise; a longer log would tell"


CHECK = Check(
    cause="converged",
    meaning="at the bottom that this data and model allow",
    question="Is this the bottom?",
    group="outlook",
    rung=10,
    rank=21,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: "Nothing to repair. For a lower loss change the data or the model.",
    source="no change of rate or batch gains anything, and the ground is level",
    outcome=True,
)
