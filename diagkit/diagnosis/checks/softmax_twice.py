"""The loss applies a softmax or sigmoid to outputs that already went through one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from diagkit.diagnosis.audit.last_activation import last_activation, without_activation
from diagkit.diagnosis.audit.loss_response import takes_a_sigmoid, takes_a_softmax
from diagkit.diagnosis.audit.probe import probe
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_PROOF, Check, Evidence, Judgement


def measure(case: Case) -> Evidence:
    numbers: dict[str, Any] = {"first": "", "second": "", "asked": False, "layer": ""}
    found = probe(case)
    if found is None:
        return Evidence(numbers)
    last = last_activation(case)
    with found.quiet():
        seen = found.see(found.batches[0])
        if seen.output is None:
            return Evidence(numbers)
        numbers["asked"] = True
        if are_probabilities(seen.output):
            numbers["first"] = "softmax"
        elif last is not None and last.kind == "sigmoid":
            numbers["first"] = "sigmoid"
        if numbers["first"]:
            if takes_a_softmax(found, found.batches[0], seen):
                numbers["second"] = "softmax"
            elif takes_a_sigmoid(found, found.batches[0], seen):
                numbers["second"] = "sigmoid"
    if not numbers["second"] or last is None or case.nothing_to_gain:
        return Evidence(numbers)
    trial = case.try_out(without_activation(last.layer))
    return Evidence(numbers, (trial,), trial)


def are_probabilities(output: Tensor) -> bool:
    """Rows over the classes that are not negative and sum to one."""
    if output.ndim < 2 or bool((output < 0).any()):
        return False
    slack = 1e3 * torch.finfo(output.dtype).eps
    return any(
        output.shape[dim] > 1 and bool(((output.sum(dim) - 1).abs() <= slack).all())
        for dim in {1, output.ndim - 1}
    )


def judge(evidence: Evidence) -> Judgement:
    return SUPPORTED_BY_PROOF if evidence["first"] and evidence["second"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    first, second = evidence["first"], evidence["second"]
    if not evidence["asked"]:
        return "Cannot be seen: the output does not come from one call of the model."
    if judgement.verdict == "supported":
        how = (
            "adding a number to all outputs of an example leaves the loss as it is"
            if second == "softmax"
            else "far out its slope is that of a logistic loss"
        )
        return (
            f"Yes: the outputs are those of a {first}, and the loss takes a {second} of them again ({how})."
        )
    if first:
        return f"No: the outputs are those of a {first}, and the loss takes them as they are."
    return "No: the outputs are no probabilities."


CHECK = Check(
    cause="softmax-twice",
    meaning="the loss applies softmax or sigmoid to outputs that already had one",
    question="Is softmax or sigmoid applied twice?",
    rung=1.4,
    rank=0.6,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        f"Take the {evidence['first']} off the model: the loss has its own. (Or keep it and use a loss of "
        "probabilities.)"
    ),
    code="model = nn.Sequential(..., nn.Linear(width, classes))  # raw logits\n"
    "loss_fn = nn.CrossEntropyLoss()  # or nn.BCEWithLogitsLoss()",
    source="invariance of the loss to a shift of its outputs; slope of the loss far out",
)
