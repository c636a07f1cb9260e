"""Output i depends on input j: the axis of the examples was viewed, permuted or summed over."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from diagkit.diagnosis.audit.dependence import example_dependence
from diagkit.diagnosis.audit.probe import COMPLAINTS, probe
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import (
    REFUTED,
    SUPPORTED_BY_PROOF,
    UNDECIDED,
    Check,
    Evidence,
    Judgement,
)


def measure(case: Case) -> Evidence:
    numbers: dict[str, Any] = {"compared": 0, "mixed": 0, "one_way": False, "batch_norm": "", "high": None}
    found = probe(case)
    if found is None:
        return Evidence(numbers)
    with found.quiet():
        try:
            result = example_dependence(found, found.batches[0])
        except COMPLAINTS:  # a batch of a fixed size, perhaps
            result = None
    if result is None:
        return Evidence(numbers)
    numbers |= {"compared": len(result.change), "mixed": result.mixed}
    if result.mixed:
        depends = result.depends
        numbers["one_way"] = not np.triu(depends, 1).any() or not np.tril(depends, -1).any()
        numbers["batch_norm"] = next(
            (
                name
                for name, m in case.model.named_modules()
                if isinstance(m, nn.modules.batchnorm._NormBase)
                and m.running_mean is None
                and not isinstance(m, nn.modules.instancenorm._InstanceNorm)
            ),
            "",
        )
        numbers["high"] = case.is_high
    return Evidence(numbers, (result,))


def judge(evidence: Evidence) -> Judgement:
    if not evidence["mixed"]:
        return REFUTED
    # One way only, as a recurrence over the examples does it, is never meant. What mixes all with all may be:
    # negatives of a batch, a graph, attention over a set; it is a fault where the loss is high besides.
    if evidence["one_way"] or (evidence["high"] and not evidence["batch_norm"]):
        return SUPPORTED_BY_PROOF
    return UNDECIDED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    n = evidence["compared"]
    if not n:
        return "Cannot be seen: the output has no row for each example, or batches have one size only."
    if not evidence["mixed"]:
        return f"Yes: of {n} examples, none moves the output of another."
    mixed = f"{evidence['mixed']} of {n * (n - 1)} pairs of examples are mixed"
    if judgement.verdict == "supported":
        way = ", all one way, as in a recurrence over the batch" if evidence["one_way"] else ""
        return f"No: {mixed}{way}."
    why = f" by the batch statistics of {evidence['batch_norm']}" if evidence["batch_norm"] else ""
    return f"{mixed}{why}; the loss does not show that it is a fault, it may be meant."


CHECK = Check(
    cause="examples-mixed",
    meaning="the output of an example depends on the other examples of its batch",
    question="Are the examples independent of each other?",
    rung=1.2,
    rank=0.4,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        "Keep the first axis that of the examples: look for a missing batch_first=True, for view(), "
        "reshape() or permute() across it, and for softmax(dim=0) or a norm over it."
    ),
    code="lstm = nn.LSTM(features, hidden, batch_first=True)  # inputs [batch, time, features]",
    source="one example replaced at a time in evaluation mode; outputs of the others compared",
)
