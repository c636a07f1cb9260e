"""Parameters that change the loss and receive no gradient: something in between has no derivative."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from diagkit.diagnosis.audit.loss_response import same_losses
from diagkit.diagnosis.audit.probe import COMPLAINTS, Probe, Seen, probe
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_PROOF, Check, Evidence, Judgement

MOST_NAMED = 24  # tensors that are moved one by one


def measure(case: Case) -> Evidence:
    numbers: dict[str, Any] = {"lost": [], "share": 0.0, "held": [], "stuck": None, "asked": False}
    found = probe(case)
    trainable = {n: p for n, p in case.model.named_parameters() if p.requires_grad}
    if found is None or not trainable:
        return Evidence(numbers)
    with found.quiet():
        try:
            lost = detached(found)
        except COMPLAINTS:
            return Evidence(numbers)
    total = sum(p.numel() for p in trainable.values())
    numbers |= {"asked": True, "lost": lost, "share": sum(trainable[n].numel() for n in lost) / total}
    if lost and numbers["share"] < 1.0:
        held = {id(p) for g in (case.optimizer.param_groups if case.optimizer else []) for p in g["params"]}
        numbers["held"] = [n for n in lost if id(trainable[n]) in held]
        # Stopping a gradient on purpose is common; it is the trouble only where the rest reaches little.
        numbers["stuck"] = bool(numbers["held"]) and case.is_high and case.is_stuck
    return Evidence(numbers)


def detached(found: Probe) -> list[str]:
    """Names of the trainable tensors without gradient at three points, though moving them moves the loss."""
    names = list(found.fixed.layout.names)
    here = found.perturbed((), 0)
    points = [here, found.perturbed(names, 1), found.perturbed(names, 2)]
    silent = set(names)
    for point in points:
        silent -= {
            n for n, g in zip(names, _gradients(found, point), strict=True) if g is not None and bool(g.any())
        }
    suspects = [n for n in names if n in silent]
    if not suspects or _same(found, [here, *(found.perturbed(suspects, seed) for seed in (3, 4))]):
        return []
    if suspects == names or len(suspects) > MOST_NAMED:
        return suspects
    return [n for n in suspects if not _same(found, [here, *(found.perturbed([n], seed) for seed in (3, 4))])]


def _gradients(found: Probe, point: dict[str, Tensor]) -> list[Tensor | None]:
    leaves = {n: p.clone().requires_grad_() for n, p in point.items()}

    def differentiate(seen: Seen) -> list[Tensor | None]:
        if not seen.loss.requires_grad:
            return [None] * len(leaves)
        return list(torch.autograd.grad(seen.loss, list(leaves.values()), allow_unused=True))

    return found.run(found.batches[0], differentiate, params=leaves)


def _same(found: Probe, points: list[dict[str, Tensor]]) -> bool:
    """Is the loss the same at all points, to rounding? What is not finite shows nothing."""
    losses = []
    for point in points:
        with torch.no_grad():
            losses.append(found.run(found.batches[0], lambda seen: float(seen.loss), params=point))
    finite = [x for x in losses if x == x and abs(x) != float("inf")]
    return len(finite) < 2 or same_losses(finite, found.fixed.layout.dtype)


def judge(evidence: Evidence) -> Judgement:
    if not evidence["lost"]:
        return REFUTED
    return SUPPORTED_BY_PROOF if evidence["share"] >= 1.0 or evidence["stuck"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if not evidence["asked"]:
        return "Cannot be seen: nothing is trainable, or no batch gets through."
    lost = evidence["lost"]
    if not lost:
        return "Yes: every parameter that changes the loss receives a gradient."
    names = f"{', '.join(lost[:3])}{', ...' if len(lost) > 3 else ''}"
    share = f"{100 * evidence['share']:.0f} % of the parameters"
    if judgement.verdict == "supported":
        return f"No: moving {names} ({share}) changes the loss, but no gradient reaches them."
    return f"Not all: none reaches {names} ({share}); as the run does well, that may be on purpose."


CHECK = Check(
    cause="no-gradient-path",
    meaning="between parameters and loss stands something without a derivative",
    question="Does a gradient reach the parameters?",
    rung=0.5,
    rank=-0.5,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        f"Compute the loss from the model's own outputs: between {evidence['lost'][0]} and the loss no "
        "argmax, rounding, detach(), no_grad(), .numpy(), nor a new tensor of old values; put soft versions "
        "in their place."
    ),
    code="loss = loss_fn(logits, y)  # not of logits.argmax(1), torch.tensor(logits) or logits.detach()\n"
    "loss.backward()\nprint([n for n, p in model.named_parameters() if p.grad is None])",
    source="a finite move of the parameter against its gradient",
    before_objective=True,
)
