"""A mixed-precision loss scale that fell below one and shrinks the gradients it should protect."""

from __future__ import annotations

import math

import torch

from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_PROOF, UNDECIDED, Check, Evidence, Judgement
from diagkit.diagnosis.own_step.observe import own_step
from diagkit.diagnosis.own_step.reach import reached


def measure(case: Case) -> Evidence:
    books = own_step(case)
    assert books is not None
    scalers = [s for s in reached(case.train_step, torch.amp.GradScaler) if s.is_enabled()]
    scales = [scale for scale in books.scales if not math.isnan(scale)]
    numbers = {
        "scalers": len(scalers),
        "scale": max(scales, default=math.nan),
        "calls": books.calls,
        "updates": len(books.updates),
        "error": books.error,
    }
    return Evidence(numbers, (books,))


def judge(evidence: Evidence) -> Judgement:
    scale = evidence["scale"]
    if not evidence["scalers"] or math.isnan(scale):
        return REFUTED
    # A scale of 1 is none at all; below it, gradients are made smaller, the opposite of its purpose.
    if scale < 1.0:
        return SUPPORTED_BY_PROOF
    if not evidence["updates"] and evidence["calls"]:
        return UNDECIDED  # an early scale that is still on its way down skips a few steps, too
    return REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if not evidence["scalers"]:
        return "Yes, or there is none: your step reaches no gradient scaler that is enabled."
    if math.isnan(evidence["scale"]):
        return "Not seen: no call of your step was completed."
    facts = f"the loss scale is {evidence['scale']:.3g} (1 is none at all)"
    updates = f"{evidence['updates']} of {evidence['calls']} calls made an update"
    word = {"supported": "No", "undecided": "Unclear"}.get(judgement.verdict, "Yes")
    return f"{word}: {facts}; {updates}."


CHECK = Check(
    cause="loss-scale-collapsed",
    meaning="mixed-precision loss scale at its floor",
    question="Is the loss scale where it protects gradients?",
    rung=1.551,
    rank=0.551,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        "Find what overflowed early, start the scaler afresh, and let it recover: a shorter growth interval, "
        "a floor of 1; or use bfloat16, which needs no scale."
    ),
    code="scaler = torch.amp.GradScaler(device_type, growth_interval=100)\n"
    "# after scaler.update():\n"
    "if scaler.get_scale() < 1.0:\n    scaler.update(1.0)",
    source="the scale read while your step ran; pytorch/pytorch#40497",
    needs=("train_step",),
)
