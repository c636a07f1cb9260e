"""No stall at all: the curve still falls beyond its noise."""

from __future__ import annotations

from typing import Any

from diagkit.diagnosis.check import REFUTED, SUPPORTED_PROBABLY, Check, Evidence, Judgement

LOW_RATE = 0.02  # share of the highest rate: further steps at it would change little


def measure(case: Any) -> Evidence:
    curve = case.curve
    numbers = {"trend": curve.trend, "falling": curve.is_falling, "rate_left": curve.rate_left}
    return Evidence(numbers, (curve,))


def judge(evidence: Evidence) -> Judgement:
    return SUPPORTED_PROBABLY if evidence["falling"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    line = evidence["trend"]
    if line is None:
        return "Cannot be seen: fewer than 20 losses in the log."
    text = f"over the last {line.window} steps the loss fell by {line.fall:.3g} ± {line.sem:.2g}"
    if judgement.verdict == "supported":
        return f"Yes: {text}."
    return f"No: {text}" + (", too little to matter." if line.is_falling else ".")


def remedy(evidence: Evidence) -> str:
    left = evidence["rate_left"]
    if left is not None and left < LOW_RATE:
        return (
            f"Train longer, with a longer schedule: the rate is down to {100 * left:.2g} % of its peak, so "
            "further steps of this one would change little."
        )
    return "Train longer; nothing in the log asks for repair."


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
    remedy=remedy,
    source="slope of block means over the last quarter against its standard error",
    needs=("history",),
    outcome=True,
)
