"""Flat after a fall: the bottom, as far as a curve can tell; flat near the start is left open."""

from __future__ import annotations

from typing import Any

from diagkit.diagnosis.check import REFUTED, SUPPORTED_PROBABLY, UNDECIDED, Check, Evidence, Judgement

CONSTANT = 0.5  # share of the highest rate above which the last one has not decayed


def measure(case: Any) -> Evidence:
    curve = case.curve
    numbers: dict[str, Any] = {
        "known": curve.trend is not None,
        "falling": curve.is_falling,
        "flat": curve.is_flat,
        "fallen": curve.has_fallen,
        "share": curve.level_share,
        "since": curve.flat_since,
        "level": None if curve.levels is None else curve.levels.last,
        "rate_left": curve.rate_left,
        "trend": curve.trend,
    }
    return Evidence(numbers, (curve,))


def judge(evidence: Evidence) -> Judgement:
    if evidence["falling"]:
        return REFUTED
    return SUPPORTED_PROBABLY if evidence["flat"] and evidence["fallen"] else UNDECIDED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if not evidence["known"]:
        return "Cannot be seen: fewer than 20 losses in the log."
    if evidence["falling"]:
        return "No: it still falls."
    if not evidence["flat"]:
        line = evidence["trend"]
        return (
            f"Open: the last quarter changed by {-line.fall:.3g} ± {line.sem:.2g}, too noisy to tell level "
            "from falling."
        )
    share = "" if evidence["share"] is None else f", {100 * evidence['share']:.3g} % of where it began"
    flat = f"flat since about step {evidence['since']:.0f} at {evidence['level']:.4g}{share}"
    if judgement.verdict == "supported":
        return f"As far as a curve can tell: {flat}."
    constant = (evidence["rate_left"] or 0.0) > CONSTANT
    advice = (
        " The rate has not decayed: a tenth of it for a while would show a noise floor." if constant else ""
    )
    return f"Open: {flat}. That may be the bottom for noisy labels, or a plateau.{advice}"


CHECK = Check(
    cause="converged",
    meaning="flat after it had fallen: the bottom, as far as a curve can tell",
    question="Is this the bottom?",
    group="outlook",
    rung=10,
    rank=21,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: "Nothing to repair. For a lower loss change the data or the model.",
    source="the last quarter gained less than a twentieth of the first level, the run more than half",
    needs=("history",),
    outcome=True,
)
