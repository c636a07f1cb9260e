"""Training steps with dropout or BatchNorm in evaluation mode."""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import (
    REFUTED,
    SUPPORTED_BY_PROOF,
    SUPPORTED_PROBABLY,
    UNDECIDED,
    Check,
    Evidence,
    Judgement,
)
from diagkit.diagnosis.own_step.in_use import updates_counted, updates_logged
from diagkit.diagnosis.own_step.mode_gap import ModeGap, mode_gap
from diagkit.diagnosis.own_step.observe import observe_in_training, own_step
from diagkit.diagnosis.own_step.observer import minds_mode

FEW = 0.5  # of the updates were counted by the running statistics


def measure(case: Case) -> Evidence:
    minding = [name for name, m in case.model.named_modules() if minds_mode(m) and not is_frozen(m)]
    numbers: dict[str, Any] = {
        "minding": minding,
        "seen": "nothing",
        "counted": None,
        "updates": None,
        "log": None,
        "error": "",
    }
    if not minding:
        return Evidence(numbers)
    books = own_step(case)
    if books is not None:
        numbers["error"] = books.error
        modes = [f.training for f in books.forwards]
        numbers["seen"] = "nothing" if not modes else "training" if any(modes) else "evaluation"
        if numbers["seen"] == "evaluation":
            again = observe_in_training(case)
            # With the whole model put in training mode before: does the step itself take it back?
            numbers["seen"] = "set" if not any(f.training for f in again.forwards) else "inherited"
    gap: ModeGap | None = None
    if numbers["seen"] in ("nothing", "inherited"):
        numbers["counted"] = batches_counted(case.model)
        numbers["updates"] = updates_counted(case.optimizer) or updates_logged(case.history)
        if not by_count(numbers) and case.history is not None and not case.model.training:
            gap = mode_gap(case)
            numbers["log"] = None if gap is None else gap.log_is_like
    return Evidence(numbers, tuple(r for r in (books, gap) if r is not None))


def is_frozen(module: nn.Module) -> bool:
    """It has parameters, and none of them is trained: its statistics are kept on purpose, too."""
    own = list(module.parameters(recurse=False))
    return bool(own) and not any(p.requires_grad for p in own)


def batches_counted(model: nn.Module) -> int | None:
    """Batches that entered running statistics, by their own count; None where no layer counts in training.

    Layers that stay in evaluation mode when the model is put in training mode, and those whose weights are
    frozen, are kept so on purpose.
    """
    trained = copy.deepcopy(model).train()
    counts = [
        int(m.num_batches_tracked)
        for m in trained.modules()
        if isinstance(m, nn.modules.batchnorm._NormBase)
        and m.num_batches_tracked is not None
        and m.training
        and not is_frozen(m)
    ]
    return max(counts, default=None)


def by_count(evidence: Any) -> bool:
    """Fewer than half of the updates came with batches that entered the running statistics."""
    counted, updates = evidence["counted"], evidence["updates"]
    return counted is not None and bool(updates) and counted < FEW * updates


def judge(evidence: Evidence) -> Judgement:
    if not evidence["minding"] or evidence["seen"] == "training":
        return REFUTED
    if evidence["seen"] == "set" or by_count(evidence):
        return SUPPORTED_BY_PROOF
    if evidence["log"] == "evaluation":
        return SUPPORTED_PROBABLY
    if evidence["log"] == "training" or (evidence["counted"] is not None and evidence["updates"]):
        return REFUTED
    return UNDECIDED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if not evidence["minding"]:
        return "Yes, or it does not matter: no layer drops out or keeps running statistics."
    names = ", ".join(evidence["minding"][:3])
    if evidence["seen"] == "training":
        return "Yes: your step ran in training mode."
    if evidence["seen"] == "set":
        return f"No: your step puts {names} in evaluation mode before its forward pass."
    if by_count(evidence):
        return (
            f"No: the running statistics of the model took in {evidence['counted']} batches, in "
            f"{evidence['updates']} updates."
        )
    if evidence["log"] is not None:
        word = "No" if evidence["log"] == "evaluation" else "Yes"
        return f"{word}: the logged loss is that of {evidence['log']} mode."
    if judgement.verdict == "refuted":
        return f"Yes: the running statistics took in {evidence['counted']} batches."
    if evidence["seen"] == "inherited":
        return (
            "Unclear: your step runs in the mode in which the model was handed over, evaluation, and does "
            "not set it; nothing tells whether the loop does."
        )
    return f"Unclear: train_step=... would show in which mode {names} are while training."


CHECK = Check(
    cause="mode-left-in-eval",
    meaning="training steps run with dropout or BatchNorm in evaluation mode",
    question="Do training steps run in training mode?",
    rung=1.561,
    rank=0.981,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        "Call model.train() before the training steps of each epoch, after any validation."
    ),
    code="model.train()",
    source="the mode of each layer at its forward pass; batches counted by running statistics",
)
