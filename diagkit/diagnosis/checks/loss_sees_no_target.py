"""A loss that no output can change, labels that are all ignored, or all the same."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from diagkit.diagnosis.audit.labels import table
from diagkit.diagnosis.audit.loss_response import Sight, sight
from diagkit.diagnosis.audit.probe import probe
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_PROOF, Check, Evidence, Judgement
from diagkit.objective import tensors_in

ENOUGH = 32  # examples from which one class only is no accident


def measure(case: Case) -> Evidence:
    numbers: dict[str, Any] = {"asked": 0, "blind": 0, "void": 0, "unseen": None, "one_class": None}
    found = probe(case)
    if found is None:
        return Evidence(numbers)
    sights: list[tuple[Sight, bool]] = []
    with found.quiet():
        for batch in found.batches:
            seen = found.see(batch)
            answer = None if seen.output is None else sight(found, batch, seen)
            if answer is not None:
                sights.append((answer, masked_out(seen.payload, seen.target)))
    numbers["asked"] = len(sights)
    numbers["blind"] = sum(s.blind for s, _ in sights)
    # Not finite whatever the output, and nothing left to score: 0 / 0.
    numbers["void"] = sum(s.void and empty for s, empty in sights)
    shares = [s.unseen for s, _ in sights if s.unseen is not None]
    numbers["unseen"] = sum(shares) / len(shares) if shares else None
    numbers["one_class"] = _only_class(case)
    return Evidence(numbers)


def masked_out(payload: Any, target: Tensor | None) -> bool:
    """Every label is negative (to be ignored), or a mask of the batch is zero everywhere."""
    integers = [target] if target is not None and not target.is_floating_point() else []
    if any(t.numel() and bool((t < 0).all()) for t in integers):
        return True
    masks = [
        t for t in tensors_in(payload) if t is not target and (t.dtype == torch.bool or t.is_floating_point())
    ]
    return any(t.numel() > 1 and not bool(t.any()) for t in masks)


def _only_class(case: Case) -> int | None:
    """The class that all labels name, where all were read and there could be others."""
    known = table(case)
    if known is None or not known.are_classes or not known.all_read or known.size < ENOUGH:
        return None
    found = probe(case)
    assert found is not None
    with found.quiet():
        output = found.see(found.batches[0]).output
    several = output is not None and output.ndim == 2 and output.shape[1] > 1
    first = known.targets[0]
    return int(first) if several and bool(torch.all(known.targets == first)) else None


def judge(evidence: Evidence) -> Judgement:
    blind = evidence["asked"] > 0 and evidence["blind"] == evidence["asked"]
    return SUPPORTED_BY_PROOF if blind or evidence["void"] or evidence["one_class"] is not None else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    asked = evidence["asked"]
    if evidence["one_class"] is not None:
        return f"No: every label is {evidence['one_class']}; there is nothing to tell apart."
    if not asked:
        return "Cannot be seen: the output does not come from one call of the model."
    if evidence["void"]:
        return f"No: in {evidence['void']} of {asked} batches every label is ignored; their loss is 0 / 0."
    if judgement.verdict == "supported":
        return f"No: in all of {asked} batches the loss is the same whatever the output, its gradient 0."
    unseen = evidence["unseen"]
    part = f"; {100 * unseen:.0f} % of the scored rows are ignored" if unseen else ""
    return f"Yes: the loss answers to the outputs{part}."


def remedy(evidence: Evidence) -> str:
    """By what was found."""
    if evidence["one_class"] is not None:
        return "Look at how the labels are read: a wrong column, a filter or a sorted cut leaves one class."
    if evidence["void"]:
        return (
            "Count the labels that are not ignored in each example before training; lengthen what is cut "
            "off, mend the template or mask, and drop examples without any."
        )
    return (
        "Use a loss that depends on the output (binary cross-entropy for one unit, cross-entropy for "
        "several) and labels that are not all masked."
    )


CHECK = Check(
    cause="loss-sees-no-target",
    meaning="no label reaches the loss, or the output does not",
    question="Does the loss see outputs and targets?",
    rung=0.3,
    rank=-0.6,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=remedy,
    code="kept = (labels != -100).sum(dim=1)\nprint((kept == 0).float().mean())  # examples without a target",
    source="dL/d output is exactly zero at the model's outputs and at others in their place",
    before_objective=True,
)
