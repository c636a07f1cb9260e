"""Validation inputs on another scale than the training inputs: moved to it, their loss falls."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from diagkit.diagnosis.audit.labels import Table, table
from diagkit.diagnosis.audit.validation import Mean, group_losses, validation_table
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_TRIAL, Check, Evidence, Judgement

SURE = 6.0  # standard errors, since many features are compared
BEYOND_COUNTING = 1e3  # a column that is constant in both has no standard error
CLOSED = 0.5  # share of the gap that the change of scale must close


def measure(case: Case) -> Evidence:
    numbers: dict[str, Any] = {"asked": False, "differs": 0.0, "gap": None, "left": None, "helps": False}
    here, there = table(case), validation_table(case)
    if here is None or there is None or not comparable(here, there):
        return Evidence(numbers)
    numbers |= {"asked": True, "differs": largest_difference(here.inputs, there.inputs)}
    if numbers["differs"] < SURE:
        return Evidence(numbers)
    with case.everything.quiet():
        before = group_losses(case, there.inputs, there.targets)
        after = group_losses(case, like(here.inputs, there.inputs), there.targets)
    gain = Mean.of(before - after)
    gap = float(before.mean()) - case.loss
    numbers |= {"gap": gap, "left": float(after.mean()) - case.loss, "before": float(before.mean())}
    numbers |= {"after": float(after.mean()), "loss": case.loss}
    numbers["helps"] = gain.value > gain.half and gain.value >= CLOSED * gap and case.is_material(gain.value)
    return Evidence(numbers)


def comparable(here: Table, there: Table) -> bool:
    """Real inputs of the same shape, and enough of them."""
    real = here.inputs.is_floating_point() and there.inputs.is_floating_point()
    return real and here.inputs.shape[1:] == there.inputs.shape[1:] and min(here.size, there.size) >= 8


def statistics(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each column; of images and sequences, of all entries together."""
    values = inputs.double()
    if values.ndim == 2:
        return values.mean(0), values.std(0)
    return values.mean(), values.std()


def largest_difference(here: Tensor, there: Tensor) -> float:
    """The largest difference of means or of standard deviations, in standard errors."""
    (m, s), (m2, s2) = statistics(here), statistics(there)
    # Of entries of one example, correlated as they may be, only the examples count.
    n, n2 = len(here), len(there)
    floor = 1e-9 * (m.abs() + s).clamp_min(1e-30)
    of_means = (m2 - m).abs() / (s.square() / n + s2.square() / n2).sqrt().clamp_min(floor)
    # A standard deviation has a relative error of about sqrt(k / 4n) at kurtosis k + 1; k = 8 is heavy.
    of_spreads = (s2 - s).abs() / (2 * (s.square() / n + s2.square() / n2)).sqrt().clamp_min(floor)
    return min(float(torch.maximum(of_means, of_spreads).max()), BEYOND_COUNTING)


def like(here: Tensor, there: Tensor) -> Tensor:
    """Validation inputs shifted and stretched to the statistics of the training inputs."""
    (m, s), (m2, s2) = statistics(here), statistics(there)
    scale = torch.where(s2 > 0, s / s2.clamp_min(1e-300), torch.ones_like(s))
    return ((there.double() - m2) * scale + m).to(there.dtype)


def judge(evidence: Evidence) -> Judgement:
    return SUPPORTED_BY_TRIAL if evidence["helps"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if not evidence["asked"]:
        return "Cannot be seen: no real inputs of one shape in both."
    differs = f"scales differ by up to {evidence['differs']:.2g} standard errors"
    if evidence["gap"] is None:
        return f"Yes: {differs}."
    losses = (
        f"validation loss {evidence['before']:.4g}, {evidence['after']:.4g} once brought to the scale of the "
        f"training data (training loss {evidence['loss']:.4g})"
    )
    return f"{'No' if judgement.verdict == 'supported' else 'Nearly'}: {differs}; {losses}."


CHECK = Check(
    cause="train-val-mismatch",
    meaning="validation data come from elsewhere, or are treated differently",
    question="Are training and validation data alike?",
    group="validation",
    rung=1.8,
    rank=11,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: "Scale both with the numbers fitted on the training data, in one place.",
    code="scaling = dk.fit_scaling(X_train, 'z-score')\nX_val = scaling.apply(X_val)  # as X_train",
    source="means and standard deviations compared; the loss with the scales made equal",
    needs=("val_data",),
)
