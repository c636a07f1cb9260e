"""Steps far below what curvature and noise allow."""

from __future__ import annotations

from typing import Any

from diagkit.diagnosis import arms
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_TRIAL, Check, Evidence, Judgement
from diagkit.diagnosis.scales import LARGE
from diagkit.diagnosis.trial import Trial

FIRST, HIGHEST = 10.0, 1e6  # factors tried: each ten times the last, while that still gains too little
WORTH_WAITING = (
    0.3  # training as long again as until now gains this share of what the larger rate gains at once
)
UNKNOWN_LENGTH = 5  # trials' lengths taken as the length of the run where no history tells it


def measure(case: Case) -> Evidence:
    numbers: dict[str, Any] = {
        "rate": case.rate,
        "factor": None,
        "gain": 0.0,
        "by_waiting": 0.0,
        "helps": False,
        "ratio": None,
    }
    if case.nothing_to_gain or case.optimizer is None:
        return Evidence(numbers)
    factor, best = _best_factor(case)
    steps = case.trend.num_steps if case.trend is not None else UNKNOWN_LENGTH * case.bench.num_steps
    waiting = max(case.drift[0], 0.0) * steps / case.bench.num_steps
    numbers |= {"factor": factor, "gain": best.effect, "by_waiting": waiting}
    numbers["ratio"] = case.stability_ratio
    # A little more is learnt at any larger rate, if only by heart. Too small is a rate at which the run has
    # missed a good part of what it has learnt so far.
    learnt = max(case.unit - case.loss, 0.0)
    numbers["helps"] = (
        case.helps(best) and waiting < WORTH_WAITING * best.effect and best.effect > LARGE * learnt
    )
    return Evidence(numbers, (*case.place_seen, best), best)


def _best_factor(case: Case) -> tuple[float, Trial]:
    """Climb by tens until a rate helps, and once more where the next is better still."""
    factor = FIRST
    best = case.try_out(arms.rate_times(factor))
    while factor < HIGHEST and best.interval[0] > 0:
        following = case.try_out(arms.rate_times(10 * factor))
        if following.effect <= best.effect:
            break
        helped, factor, best = case.helps(best), 10 * factor, following
        if helped:
            break
    return factor, best


def judge(evidence: Evidence) -> Judgement:
    ratio = evidence["ratio"]
    far_below = ratio is None or ratio < 0.5
    return SUPPORTED_BY_TRIAL if evidence["helps"] and far_below else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    ratio = evidence["ratio"]
    limit = "" if ratio is None else f" Sharpness is {ratio:.2g} times the optimizer's stability limit."
    if judgement.verdict == "supported":
        return (
            f"Yes: {evidence['factor']:g} times the rate lowers the loss by {evidence['gain']:.3g} in the "
            f"same steps; training as long again at the present rate would gain about "
            f"{evidence['by_waiting']:.2g}.{limit}"
        )
    return f"No: larger rates gain nothing that waiting would not.{limit}"


CHECK = Check(
    cause="learning-rate-too-small",
    meaning="steps far below what curvature and noise allow",
    question="Is the learning rate too small?",
    group="sizeable",
    rung=8,
    rank=7,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        f"Raise the learning rate to {evidence['factor']:g} times the present one."
        if evidence["factor"]
        else ""
    ),
    code="for group in optimizer.param_groups:\n    group['lr'] *= 10",
    source="tried from the same checkpoint; stability limit 2/eta and its relatives",
    needs=("optimizer",),
    dear=True,
)
