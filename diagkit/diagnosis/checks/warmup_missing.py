"""An early spike at full rate that the run did not make good, and that a warm-up avoids."""

from __future__ import annotations

from typing import Any

import torch

from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import (
    REFUTED,
    SUPPORTED_BY_TRIAL,
    UNDECIDED,
    Check,
    Evidence,
    Judgement,
)
from diagkit.diagnosis.curvature import where_measurable
from diagkit.diagnosis.curve_checks import warmup_missing as curve
from diagkit.diagnosis.early_spike import full_rates, warm_up_trial
from diagkit.diagnosis.twin import start_afresh
from diagkit.measure import stability
from diagkit.measure.stability import has_limit
from diagkit.objective import of_model, same_random_state


def measure(case: Case) -> Evidence:
    found = curve.measure(case)
    seen = curve.judge(found).verdict == "supported"
    numbers: dict[str, Any] = {**found.numbers, "seen": seen, "tried": False, "helps": False, "ratio": None}
    trial = warm_up_trial(case)
    if trial is None:
        return Evidence(numbers, found.results)
    numbers |= {"tried": True, "helps": case.helps(trial)}
    numbers["ratio"] = stability_at_the_start(case, full_rates(case))
    return Evidence(numbers, (*found.results, trial), trial)


def stability_at_the_start(case: Case, rates: list[float]) -> float | None:
    """Sharpness of a fresh network over the limit of the full rate; None where the optimizer has none."""
    twin = start_afresh_quietly(case)
    for group, rate in zip(twin.optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    objective = of_model(case.objective, twin.model)
    if not has_limit(objective, twin.optimizer):
        return None
    return where_measurable(
        lambda: float(stability(objective, twin.optimizer, tol=1e-2, max_hvps=60).ratio), None
    )


def start_afresh_quietly(case: Case) -> Any:
    with same_random_state(), torch.no_grad():
        return start_afresh(case.twin(), case.seed)


def judge(evidence: Evidence) -> Judgement:
    if not evidence["seen"]:
        return REFUTED
    if evidence["helps"]:
        return SUPPORTED_BY_TRIAL
    return REFUTED if evidence["tried"] else UNDECIDED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    seen = curve.answer(evidence, judgement)
    ratio = evidence["ratio"]
    limit = "" if ratio is None else f" A fresh network is {ratio:.2g} times as sharp as this rate allows."
    if judgement.verdict == "supported":
        return f"{seen} From a fresh start the same rate, warmed up, ends lower than at once.{limit}"
    if not evidence["seen"]:
        return seen
    return f"{seen} " + (
        f"From a fresh start, warming up does no better.{limit}"
        if evidence["tried"]
        else "Whether a warm-up avoids it could not be tried."
    )


CHECK = Check(
    cause=curve.CHECK.cause,
    meaning=curve.CHECK.meaning,
    question=curve.CHECK.question,
    group="sizeable",
    rung=5.73,
    rank=2.03,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=curve.CHECK.remedy,
    code=curve.CHECK.code,
    source="the same rate from fresh starts, at once and warmed up; eta > 2/lambda_max there; "
    "Gilmer et al. 2021, arXiv:2110.04369",
    needs=("history", "optimizer"),
)
