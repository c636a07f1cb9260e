"""The gradient vanishes, and a proven direction of negative curvature leads down."""

from __future__ import annotations

from diagkit.diagnosis import arms
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import (
    REFUTED,
    SUPPORTED_BY_PROOF,
    SUPPORTED_BY_TRIAL,
    UNDECIDED,
    Check,
    Evidence,
    Judgement,
)

NEGLIGIBLE = 0.1  # gradient's share in the drop of the escape, below which curvature is the only way out


def measure(case: Case) -> Evidence:
    place, escape = case.place, case.escape
    drop = escape.loss_before - escape.loss_after
    by_gradient = case.gradient_norm * abs(escape.step)
    near = place.verdict == "saddle" or (escape.escaped and by_gradient <= NEGLIGIBLE * drop)
    near = near and not case.is_plateau  # flat in every direction: for the next question
    trial, helps = None, False
    if near and escape.escaped and not case.nothing_to_gain:
        trial = case.try_out(
            arms.from_point(case.objective, escape.theta, "one step off the saddle, then as before")
        )
        helps = case.helps(trial)
    # At a certified saddle the gradient of all data is zero. A run that is seen to leave it by its own noise
    # is not stuck there; a trial with another optimizer, or with batches that we had to guess, shows nothing.
    seen_to_leave = case.optimizer is not None and case.knows_batches and not case.is_stuck if near else False
    numbers = {
        "certified": place.verdict == "saddle" and near and case.is_material(drop) and not seen_to_leave,
        "verdict": place.verdict,
        "curvature": escape.curvature,
        "negative": escape.curvature < -place.smallest.rounding,
        "gradient_norm": place.gradient_norm,
        "drop": drop,
        "near": near,
        "plateau": case.is_plateau,
        "helps": helps,
        "stuck": near and not case.nothing_to_gain and case.is_stuck,
        "tried": trial is not None,
    }
    return Evidence(numbers, (place, escape), trial)


def judge(evidence: Evidence) -> Judgement:
    if not evidence["near"]:
        return REFUTED
    if evidence["tried"] and evidence["helps"]:
        return SUPPORTED_BY_TRIAL
    if evidence["certified"]:
        return SUPPORTED_BY_PROOF
    return UNDECIDED if evidence["stuck"] and not evidence["tried"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    gradient = f"gradient norm {evidence['gradient_norm']:.2g}, lowest curvature {evidence['curvature']:.3g}"
    if judgement.verdict == "supported" and not evidence["helps"]:
        return (
            f"Yes, certified ({gradient}): the gradient does not point down, one step along the negative "
            f"curvature lowers the loss by {evidence['drop']:.3g}."
        )
    if judgement.verdict == "supported":
        return (
            f"Yes ({gradient}): going on leaves the loss where it is, one step along the negative curvature "
            f"lowers it by {evidence['drop']:.3g}."
        )
    if not evidence["near"]:
        if evidence["plateau"]:
            return f"No ({gradient}): the curvature leads nowhere either."
        return f"No ({gradient}): " + (
            "the gradient is not negligible against the negative curvature."
            if evidence["negative"]
            else "no curvature is negative beyond rounding."
        )
    return f"There is negative curvature ({gradient}), but stepping along it gains no more than going on."


CHECK = Check(
    cause="saddle-point",
    meaning="gradient near zero, certified negative curvature",
    question="Zero gradient: is it a saddle?",
    group="zero",
    rung=4,
    rank=3,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: "Step off along the direction of negative curvature, then train on.",
    code="escape = dk.escape_saddle(obj)\nobj.apply(escape.theta)  # writes to the model",
    source="v^T H v < 0 proves the way down; Dauphin et al. 2014, arXiv:1406.2572",
)
