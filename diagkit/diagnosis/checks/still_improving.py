"""No stall at all: the curve still falls beyond its noise."""

from __future__ import annotations

from typing import Any

from diagkit.diagnosis import arms
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
from diagkit.diagnosis.sampling import SURE, relative_error

WORTH_SAYING = 0.005  # share of the unit that the last quarter of a run must have gained


def measure(case: Case) -> Evidence:
    numbers: dict[str, Any] = {
        "in_log": None,  # None where the log is too short or too noisy to say
        "fall": None,
        "sem": None,
        "in_trial": None,  # likewise, of the trial
        "drift": None,
        "half": None,
        "window": 0,
    }
    numbers |= {"unit": case.unit, "optimizer": case.optimizer is not None}
    curve = case.trend
    if curve is not None:
        numbers |= {"fall": curve.fall, "sem": curve.sem, "window": curve.window}
        if curve.is_falling and curve.fall >= WORTH_SAYING * case.unit:
            numbers["in_log"] = True
        elif curve.fall + 3 * curve.sem < WORTH_SAYING * case.unit:
            numbers["in_log"] = False
    trial = None
    if not case.nothing_to_gain:
        mean, half = case.drift
        half += abs(mean) * SURE * relative_error(case)
        numbers |= {"drift": mean, "half": half}
        if mean - half > 0 and mean >= WORTH_SAYING * case.unit:
            numbers["in_trial"] = True
        elif mean + half < WORTH_SAYING * case.unit:
            numbers["in_trial"] = False
        trial = case.try_out(arms.AS_IS)
    results = tuple(r for r in (case.history, trial) if r is not None)
    return Evidence(numbers, results)


def judge(evidence: Evidence) -> Judgement:
    if evidence["in_log"]:
        return SUPPORTED_PROBABLY
    if evidence["in_log"] is None and evidence["in_trial"]:
        return SUPPORTED_BY_TRIAL
    measured = evidence["in_log"] is None and evidence["drift"] is not None
    return UNDECIDED if measured and evidence["in_trial"] is None else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    by_log = evidence["in_log"] is not None or evidence["drift"] is None
    if evidence["fall"] is not None and by_log:
        text = (
            f"over the last {evidence['window']} steps of the log the loss fell by {evidence['fall']:.3g} ± "
            f"{evidence['sem']:.2g}"
        )
    elif evidence["drift"] is not None:
        text = f"going on as before lowers the loss by {evidence['drift']:.3g} ± {evidence['half']:.2g}"
    else:
        return "Nothing left to fall: the loss is a small fraction of that of a constant prediction."
    if judgement.verdict == "supported":
        return f"Yes: {text}."
    if judgement.verdict == "undecided":
        return f"Open: {text}, too noisy to tell."
    clash = (
        " (yet in the trial, a plain loop, it does fall: look at your own loop)"
        if evidence["in_trial"]
        else ""
    )
    return f"No: {text}{clash}."


CHECK = Check(
    cause="still-improving",
    meaning="no stall: the curve still falls beyond its noise",
    question="Does the loss still fall?",
    group="outlook",
    rung=9,
    rank=20,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        "Train longer; nothing here needs repair."
        if evidence["in_log"] or evidence["optimizer"]
        else "This place is no trap: Adam goes down from here. If your own run does not, the trouble is in "
        "how it is trained: give optimizer= and history=."
    ),
    source="slope of block means over the last quarter against its standard error",
    outcome=True,
)
