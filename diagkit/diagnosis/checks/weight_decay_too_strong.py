"""Weight decay balances the gradient: the penalty holds up a loss that could fall."""

from __future__ import annotations

from typing import Any

import torch

from diagkit.diagnosis import arms, layer_arms
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_TRIAL, Check, Evidence, Judgement
from diagkit.diagnosis.layers.depth import first_that_helps
from diagkit.diagnosis.scales import LARGE
from diagkit.diagnosis.twin import can_start_afresh


def measure(case: Case) -> Evidence:
    assert case.optimizer is not None  # asked for by `needs`
    decays = [float(group.get("weight_decay") or 0.0) for group in case.optimizer.param_groups]
    numbers: dict[str, Any] = {
        "decay": max(decays, default=0.0),
        "balance": None,
        "stuck": False,
        "helps": False,
    }
    if not numbers["decay"]:
        return Evidence(numbers)
    numbers["balance"] = balance(case)
    # Less decay nearly always lowers the training loss a little; to raise it is its purpose.
    if case.loss <= LARGE * case.unit or not case.is_stuck:
        return Evidence(numbers)
    none = layer_arms.decay_times(0.0)
    pairs = [(none, arms.AS_IS)]
    if can_start_afresh(case.model):  # weights decayed to zero are a saddle that no setting leaves
        pairs.append((layer_arms.afresh_with(none), arms.FRESH))
    trial = first_that_helps(case, pairs)
    helps = trial is not None and case.helps(trial) and trial.effect > LARGE * case.unit
    numbers |= {"stuck": True, "helps": helps}
    return Evidence(numbers, (trial,) if trial else (), trial)


def balance(case: Case) -> float | None:
    """-g . (decay w) / |decay w|^2 over decayed tensors: 1 where the penalty pulls as the gradient does."""
    assert case.optimizer is not None
    decays = {
        id(p): float(g.get("weight_decay") or 0.0) for g in case.optimizer.param_groups for p in g["params"]
    }
    named = dict(case.model.named_parameters())
    gradients = case.objective.layout.split(case.objective.gradient().double())
    product = square = 0.0
    for name, gradient in gradients.items():
        pull = decays.get(id(named[name]), 0.0) * named[name].detach().double()
        product -= float(torch.sum(gradient * pull))
        square += float(torch.sum(pull**2))
    return product / square if square > 0 else None


def judge(evidence: Evidence) -> Judgement:
    return SUPPORTED_BY_TRIAL if evidence["helps"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if not evidence["decay"]:
        return "There is no weight decay."
    pull = (
        ""
        if evidence["balance"] is None
        else f" (along the weights the gradient is {evidence['balance']:.2g} times the pull of decay)"
    )
    decay = f"weight decay {evidence['decay']:g}{pull}"
    if judgement.verdict == "supported":
        return f"Yes: {decay}; without it the loss falls where it stands still now."
    return f"No: {decay}; " + (
        "without it the loss gains little." if evidence["stuck"] else "the loss is low or still falls."
    )


CHECK = Check(
    cause="weight-decay-too-strong",
    meaning="decay balances the gradient: the data loss could fall, the penalty holds it",
    question="Does weight decay hold the loss up?",
    group="sizeable",
    rung=3.53,
    rank=1.83,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        f"Lower the weight decay to {evidence['decay'] / 100:.1g} or less, and start afresh."
    ),
    code="for group in optimizer.param_groups:\n    group['weight_decay'] *= 0.01",
    source="stationary where grad L = -decay w; Krogh and Hertz 1991; training without decay tried",
    needs=("optimizer",),
)
