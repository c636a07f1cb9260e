"""The learning rate decayed to nothing while the loss could still fall: the log, and the rate restored."""

from __future__ import annotations

from typing import Any

import numpy as np

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
from diagkit.diagnosis.curve_checks import schedule_ended_early as curve
from diagkit.diagnosis.curve_outlook import SPENT
from diagkit.diagnosis.own_step.schedule import base_rate
from diagkit.diagnosis.scales import LARGE
from diagkit.diagnosis.trial import Trial

RESTORED = (1.0, 0.1)  # of the highest rate: at the full one, noise may hide the gain


def measure(case: Case) -> Evidence:
    found = curve.measure(case) if case.history is not None and case.curve is not None else None
    numbers: dict[str, Any] = {"found": None, "logged": False} if found is None else dict(found.numbers)
    numbers |= {"rate": case.rate, "top": top_rate(case), "restored": None, "helps": None}
    numbers |= {"gain": None, "large": False}
    results = () if found is None else found.results
    top, rate = numbers["top"], case.rate
    if top is None or rate is None or not 0 <= rate <= SPENT * top:
        return Evidence(numbers, results)
    if case.nothing_to_gain:
        return Evidence(numbers | {"helps": False}, results)
    tried: list[Trial] = []
    for share in RESTORED:
        tried.append(case.try_out(arms.at_rate(share * top)))
        if case.helps(tried[-1]):
            break
    best = max(tried, key=lambda trial: (case.helps(trial), trial.effect))
    # Learning on by heart gains a little at any rate: that is no reason to call a schedule too short.
    large = best.effect > LARGE * case.unit
    numbers |= {"helps": case.helps(best), "large": large, "gain": best.effect}
    numbers["restored"] = RESTORED[tried.index(best)] * top
    return Evidence(numbers, (*results, best), best)


def top_rate(case: Case) -> float | None:
    """The highest rate of the log, or the one that the schedule scales; None where neither is known."""
    logged = None if case.history is None else case.history.lr
    known = np.zeros(0) if logged is None else logged[np.isfinite(logged)]
    if len(known):
        return float(known.max())
    return base_rate(case.scheduler) if hasattr(case.scheduler, "optimizer") else None


def judge(evidence: Evidence) -> Judgement:
    found = evidence["found"]
    early = found is not None and found.early
    if evidence["helps"] is None:
        return SUPPORTED_PROBABLY if early and evidence["rate"] is None else REFUTED
    if not evidence["helps"]:  # the trial wins over the log
        return REFUTED
    return SUPPORTED_BY_TRIAL if evidence["large"] or early else UNDECIDED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if evidence["helps"] is None:
        if evidence["rate"] is not None and evidence["top"] is not None:
            return f"No: the rate is {evidence['rate']:.3g}, and {evidence['top']:.3g} at its highest."
        return curve.answer(evidence, judgement)
    spent = f"the rate has come down from {evidence['top']:.3g} to {evidence['rate']:.3g}"
    if evidence["restored"] is None:
        return f"No: {spent}, and there is next to nothing left to gain."
    if judgement.verdict == "supported":
        return (
            f"Yes: {spent}; from this checkpoint at {evidence['restored']:.3g} the loss falls by "
            f"{evidence['gain']:.3g} where it stands now."
        )
    if judgement.verdict == "undecided":
        return (
            f"{spent.capitalize()}; at {evidence['restored']:.3g} the loss falls by {evidence['gain']:.3g}, "
            "so little that it may be by heart: a longer run with validation data would settle it."
        )
    return f"No: {spent}, but with the rate restored the loss falls no lower."


CHECK = Check(
    cause=curve.CHECK.cause,
    meaning=curve.CHECK.meaning,
    question=curve.CHECK.question,
    rung=5.8,
    rank=4.8,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        (
            f"Train on from this checkpoint at a rate of {evidence['restored']:.3g}, and let the schedule "
            "end where the training ends."
        )
        if evidence["restored"]
        else curve.CHECK.remedy(evidence)
    ),
    code=curve.CHECK.code,
    source="the rate before the decay tried from this checkpoint; without an optimizer, the log alone: "
    + curve.CHECK.source,
    group=curve.CHECK.group,
    dear=True,
)
