"""The loss hovers because gradient noise times the learning rate is too large."""

from __future__ import annotations

from typing import Any

from diagkit.diagnosis import arms
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_TRIAL, Check, Evidence, Judgement
from diagkit.diagnosis.checks.learning_rate_too_large import is_noise


def measure(case: Case) -> Evidence:
    numbers: dict[str, Any] = {
        "noise_scale": None,
        "batch_size": case.batch_size,
        "helps": False,
        "lower": None,
    }
    if case.nothing_to_gain or case.optimizer is None or case.batch_size >= case.everything.num_examples:
        return Evidence(numbers)
    lower = case.try_out(arms.rate_times(0.1))
    numbers["lower"] = lower.effect
    if not case.helps(lower, hovering=True):
        return Evidence(numbers, (lower,), lower)
    larger = case.try_out(arms.LARGER_BATCH)
    numbers["larger"] = larger.effect
    numbers["helps"] = case.is_stuck and is_noise(case, lower)
    results: tuple[Any, ...] = (lower, larger)
    if numbers["helps"] and case.noise is not None:
        numbers["noise_scale"] = case.noise.noise_scale if case.noise.resolved else None
        results = (case.noise, *results)
    return Evidence(numbers, results, max((lower, larger), key=lambda trial: trial.effect))


def judge(evidence: Evidence) -> Judgement:
    return SUPPORTED_BY_TRIAL if evidence["helps"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if judgement.verdict == "supported":
        scale = evidence["noise_scale"]
        known = (
            "the mean gradient is lost in it"
            if scale is None
            else f"noise equals signal only at {scale:.3g} examples"
        )
        return (
            f"Yes: a tenth of the rate and a larger batch at the same rate both lower the loss (by "
            f"{evidence['lower']:.3g} and {evidence['larger']:.3g}) where {evidence['batch_size']} examples "
            f"at this rate hover; {known}."
        )
    return (
        "No: less noise does not end lower."
        if evidence["lower"] is not None
        else "No: there is no noise to speak of."
    )


CHECK = Check(
    cause="noise-floor",
    meaning="the loss hovers: gradient noise times learning rate is too large",
    question="Does the loss hover on gradient noise?",
    group="sizeable",
    rung=7,
    rank=6,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        "Lower the learning rate (or let it decay), or use a larger batch; more steps will not help."
    ),
    code="scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=num_steps)",
    source="stationary variance of SGD on a quadratic, eta sigma^2 / (lambda (2 - eta lambda)); both tried",
    needs=("optimizer",),
    dear=True,
)
