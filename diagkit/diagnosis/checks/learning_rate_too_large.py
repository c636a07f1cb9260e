"""Oscillation across a valley, or divergence: smaller steps go down where larger ones do not."""

from __future__ import annotations

from typing import Any

import numpy as np

from diagkit.diagnosis import arms
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_TRIAL, Check, Evidence, Judgement
from diagkit.diagnosis.trial import Trial
from diagkit.diagnosis.twin import can_start_afresh

FACTORS = (0.1, 0.01)
AS_GOOD = 0.5  # share of the smaller rate's gain with which a full batch explains it as noise


def measure(case: Case) -> Evidence:
    numbers: dict[str, Any] = {
        "rate": case.rate,
        "factor": None,
        "helps": False,
        "larger_batch_gain": None,
        "ratio": None,
        "fresh": False,
    }
    if case.nothing_to_gain or case.optimizer is None:
        return Evidence(numbers)
    numbers["ratio"] = case.stability_ratio
    trials = {factor: case.try_out(arms.rate_times(factor)) for factor in FACTORS}
    factor = max(trials, key=lambda f: trials[f].effect)
    best = trials[factor]
    if case.helps(best, hovering=True):
        numbers |= {"factor": factor, "gain": best.effect}
        if is_noise(case, best):
            numbers["larger_batch_gain"] = case.try_out(arms.LARGER_BATCH).effect
        else:
            numbers["helps"] = True
    elif case.is_stuck and case.is_high and can_start_afresh(case.model):
        # Too large a step may have destroyed the network for good: try the same from a fresh one.
        same = case.bench.run(arms.FRESH)
        fresh = {f: case.try_afresh(arms.fresh_rate_times(f)) for f in FACTORS}
        factor = max(fresh, key=lambda f: fresh[f].effect)
        stuck_afresh = float(np.minimum(same.level, case.bench.ceiling).mean()) > case.high
        numbers |= {"fresh": True, "factor": factor}
        numbers["helps"] = case.helps(fresh[factor]) and stuck_afresh
        best = fresh[factor]
    return Evidence(numbers, (*case.place_seen, best), best)


def is_noise(case: Case, lower: Trial) -> bool:
    """Averaging over more examples, at this very rate, does about what the lower rate does.

    Never beyond the stability limit, nor at a loss above that of knowing nothing: there the step and not the
    noise is what is wrong.
    """
    if case.baseline is not None and case.loss > case.baseline:
        return False
    if case.batch_size >= case.everything.num_examples or (case.stability_ratio or 0.0) >= 1.0:
        return False
    larger = case.try_out(arms.LARGER_BATCH)
    return larger.interval[0] > 0 and larger.effect >= AS_GOOD * lower.effect


def judge(evidence: Evidence) -> Judgement:
    return SUPPORTED_BY_TRIAL if evidence["helps"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    ratio = evidence["ratio"]
    limit = "" if ratio is None else f" Sharpness is {ratio:.2g} times the optimizer's stability limit."
    if judgement.verdict == "supported":
        where = "from a fresh start, " if evidence["fresh"] else ""
        return (
            f"Yes: {where}{evidence['factor']:g} times the rate goes down where the present one does not; "
            f"a larger batch at the present rate does not do as much.{limit}"
        )
    if evidence["larger_batch_gain"] is not None:
        return f"No: a smaller rate helps, but so does a larger batch at this rate (noise).{limit}"
    return f"No: smaller rates end no lower.{limit}"


CHECK = Check(
    cause="learning-rate-too-large",
    meaning="oscillation across a valley, or divergence",
    question="Sizeable gradient, flat curve: is the learning rate too large?",
    group="sizeable",
    rung=6,
    rank=5,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        f"Lower the learning rate to {evidence['factor']:g} times the present one"
        + (" and start afresh: these weights are lost." if evidence["fresh"] else ".")
        if evidence["factor"]
        else ""
    ),
    code="for group in optimizer.param_groups:\n    group['lr'] *= 0.1",
    source="stability limit 2/eta and its relatives; tried against a full batch at the same rate",
    needs=("optimizer",),
    dear=True,
)
