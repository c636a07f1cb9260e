"""Units that are copies of each other and receive the same gradient can never become different."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from diagkit.diagnosis import arms
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_PROOF, UNDECIDED, Check, Evidence, Judgement
from diagkit.diagnosis.twin import can_start_afresh

ADAM_RATE = 1e-2


def same_rows(tensor: Tensor) -> bool:
    """All rows equal, to rounding of the largest entry."""
    rows = tensor.flatten(1)
    slack = 8 * torch.finfo(rows.dtype).eps * rows.abs().max()
    return bool(((rows - rows[:1]).abs() <= slack).all())


def symmetric_layers(case: Case) -> list[str]:
    """Hidden layers whose units all have equal incoming weights and equal gradients.

    The output layer is left out: its units differ by their targets. So are embeddings, whose rows are
    symbols and not units.
    """
    parts = case.objective.layout.split(case.objective.theta)
    gradients = case.objective.layout.split(case.objective.gradient())
    symbols = {
        f"{name}.weight"
        for name, m in case.model.named_modules()
        if isinstance(m, (nn.Embedding, nn.EmbeddingBag))
    }
    weights = [n for n, w in parts.items() if w.ndim >= 2 and n not in symbols]
    found = []
    for name in weights[:-1]:
        bias = parts.get(name.removesuffix("weight") + "bias")
        units_differ = bias is not None and bias.ndim == 1 and not same_rows(bias[:, None])
        if (
            len(parts[name]) > 1
            and not units_differ
            and same_rows(parts[name])
            and same_rows(gradients[name])
        ):
            found.append(name)
    return found


def measure(case: Case) -> Evidence:
    layers = symmetric_layers(case)
    trial = None
    if layers and can_start_afresh(case.model):
        trial = case.try_out(arms.FRESH)
        if not case.helps(trial):
            # The settings may be too slow to show it: the same question with Adam, here and from afresh.
            again = case.try_out(arms.fresh_adam(ADAM_RATE), arms.adam(ADAM_RATE))
            trial = again if case.helps(again) else trial
    helps = None if trial is None else case.helps(trial)
    numbers = {"layers": layers, "helps": helps, "stuck": bool(layers) and case.is_stuck}
    return Evidence(numbers, (trial,) if trial else (), trial)


def judge(evidence: Evidence) -> Judgement:
    if not evidence["layers"]:
        return REFUTED
    if evidence["helps"] is None:
        return SUPPORTED_BY_PROOF if evidence["stuck"] else UNDECIDED
    return SUPPORTED_BY_PROOF if evidence["helps"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    layers = evidence["layers"]
    if not layers:
        return "Yes: no hidden layer consists of identical units."
    names = ", ".join(layers[:3])
    if judgement.verdict == "refuted":
        return f"In {names} all units are identical, but starting afresh did not help."
    return f"No: in {names} all units have the same weights and the same gradient, so they move as one."


CHECK = Check(
    cause="symmetric-initialization",
    meaning="zero or equal weights: units cannot become different",
    question="Can the units become different?",
    group="zero",
    rung=3,
    rank=2,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        "Initialize the weights randomly (the layers' own default will do); zero only biases."
    ),
    code="for module in model.modules():\n    if hasattr(module, 'reset_parameters'):\n"
    "        module.reset_parameters()",
    source="equal weights and equal gradients stay equal under any update that treats parameters alike",
)
