"""Dropout holds the training loss up: without it the same network fits."""

from __future__ import annotations

from typing import Any

from diagkit.diagnosis import layer_arms
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import (
    REFUTED,
    SUPPORTED_BY_TRIAL,
    SUPPORTED_PROBABLY,
    Check,
    Evidence,
    Judgement,
)
from diagkit.diagnosis.checks.normalization_mismatch import modes_of
from diagkit.diagnosis.layers.depth import stuck_high
from diagkit.diagnosis.layers.modes import drops
from diagkit.diagnosis.scales import LARGE

HALF = 0.5  # of the unit: dropout alone makes the loss look nearer to knowing nothing than to zero


def measure(case: Case) -> Evidence:
    numbers: dict[str, Any] = {"layers": sum(drops(m) for m in case.model.modules()), "cost": 0.0}
    numbers |= {"evaluation": None, "dropout": None, "held_up": False, "flat": False, "helps": False}
    if not numbers["layers"]:
        return Evidence(numbers)
    modes = modes_of(case)
    gap, (_, high) = modes.gap("dropout")
    numbers |= {"cost": -gap, "evaluation": modes.mean("evaluation"), "dropout": modes.mean("dropout")}
    # The log shows the loss with dropout on: held up there, while the network itself knows better.
    log = case.trend
    numbers["held_up"] = -high > HALF * case.unit
    numbers["flat"] = log is not None and not log.is_falling and log.last > case.high
    if not stuck_high(case):
        return Evidence(numbers, (modes,))
    trial = case.try_out(layer_arms.NO_DROPOUT)
    numbers["helps"] = case.helps(trial) and trial.effect > LARGE * case.unit
    return Evidence(numbers, (modes, trial), trial)


def judge(evidence: Evidence) -> Judgement:
    if evidence["helps"]:
        return SUPPORTED_BY_TRIAL
    return SUPPORTED_PROBABLY if evidence["held_up"] and evidence["flat"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if not evidence["layers"]:
        return "There is no dropout."
    losses = (
        f"{evidence['dropout']:.4g} with dropout, {evidence['evaluation']:.4g} without, on the same batches"
    )
    if judgement.verdict != "supported":
        return f"No: {losses}."
    if evidence["helps"]:
        return f"Yes: {losses}; trained without it, the network fits what it does not fit now."
    return f"Yes: {losses}; the loss that training reports is dropout's for the most part."


CHECK = Check(
    cause="dropout-too-strong",
    meaning="training loss held up by dropout, evaluation-mode loss much lower",
    question="Does dropout hold the loss up?",
    group="validation",
    rung=2.63,
    rank=1.63,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        "Lower the dropout rate (0.1 to 0.3, none before the output), and judge training by the loss in "
        "evaluation mode."
    ),
    code="for module in model.modules():\n    if isinstance(module, torch.nn.Dropout):\n"
    "        module.p = 0.1",
    source="the same batches with and without; Srivastava et al. 2014, JMLR 15; training without it tried",
)
