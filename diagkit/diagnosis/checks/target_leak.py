"""The output sees the very symbol that it is scored on: labels not shifted, or a mask that is not causal."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from diagkit.diagnosis.audit.dependence import Dependence, position_dependence, tokens_in
from diagkit.diagnosis.audit.loss_response import answer_to
from diagkit.diagnosis.audit.probe import COMPLAINTS, Probe, Seen, probe
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_PROOF, UNDECIDED, Check, Evidence, Judgement
from diagkit.objective import Batch

PLACES = 12  # positions that are looked at
ALIGNED = 0.95  # share of scored symbols found at one distance in the input


def measure(case: Case) -> Evidence:
    numbers: dict[str, Any] = {"scored": 0, "shift": None, "sees": False, "causal": None}
    found = probe(case)
    if found is None:
        return Evidence(numbers)
    with found.quiet():
        batch = found.batches[0]
        seen = found.see(batch)
        scored = scored_symbols(found, batch, seen)
        if scored is None:
            return Evidence(numbers)
        tokens = tokens_in(seen.inputs)
        assert tokens is not None
        numbers["scored"] = int((scored >= 0).sum())
        numbers["shift"] = distance(tokens, scored)
        if numbers["shift"] is None:
            return Evidence(numbers)
        places = np.unique(np.linspace(0, tokens.shape[1] - 1, PLACES).astype(int)).tolist()
        try:
            result = position_dependence(found, batch, places)
        except COMPLAINTS:
            return Evidence(numbers)
    if result is None:
        return Evidence(numbers)
    numbers |= {"sees": sees(result, numbers["shift"], places), "causal": is_causal(result, places)}
    return Evidence(numbers, (result,))


def scored_symbols(found: Probe, batch: Batch, seen: Seen) -> Tensor | None:
    """The symbol [N, T] on which each position is scored, -1 where none; None where that is not the task.

    By the loss itself, so that shifts and masks inside it count: the derivative of cross-entropy is the
    probability, less 1 at the target, so that it is negative there alone.
    """
    tokens = tokens_in(seen.inputs)
    if tokens is None or seen.output is None or seen.output.ndim < 2:
        return None
    n, length = tokens.shape
    symbols = seen.output.shape[-1]
    if seen.output.numel() != n * length * symbols or symbols < 2:
        return None
    answer = answer_to(found, batch, torch.zeros_like(seen.output))
    if answer is None or not bool(torch.isfinite(answer.gradient).all()):
        return None
    slope = answer.gradient.reshape(n, length, symbols)
    negative = slope < 0
    if not bool(negative.any()) or bool((negative.sum(-1) > 1).any()):
        return None
    return torch.where(negative.any(-1), negative.to(torch.int8).argmax(-1), -1)


def distance(tokens: Tensor, scored: Tensor) -> int | None:
    """k such that position t is scored on the input symbol at t + k, for k = 0 or 1; None for other tasks."""
    length = tokens.shape[1]
    if length < 2:
        return None
    for k in (1, 0):
        target = scored[:, : length - k]
        counted = target >= 0
        if bool(counted.any()):
            same = (tokens[:, k:] == target)[counted].double().mean()
            if float(same) >= ALIGNED:
                return k
    return None


def sees(result: Dependence, shift: int, places: list[int]) -> bool:
    """Does output t depend on the input at t + shift, at any of the places looked at?"""
    return any(result.depends[p - shift, p] for p in places if p >= shift)


def is_causal(result: Dependence, places: list[int]) -> bool:
    """No output depends on a later input."""
    return not any(result.depends[:p, p].any() for p in places)


def judge(evidence: Evidence) -> Judgement:
    if not evidence["sees"]:
        return REFUTED
    if evidence["shift"] == 1 or evidence["causal"]:
        return SUPPORTED_BY_PROOF
    return UNDECIDED  # the symbols themselves, seen from both sides: an autoencoder is meant to


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if not evidence["scored"]:
        return "No: the task is not one of predicting symbols of the input."
    if evidence["shift"] is None:
        return "No: the symbols scored are not those of the input."
    if not evidence["sees"]:
        return "No: no position sees the symbol that it is scored on."
    if evidence["shift"] == 1:
        return "Yes: each position is scored on the next symbol of its input, and its output depends on it."
    if judgement.verdict == "supported":
        return "Yes: a causal model is scored at each position on the symbol that it is given there."
    return "Each position is scored on a symbol that it is given; right for an autoencoder, a leak otherwise."


CHECK = Check(
    cause="target-leak",
    meaning="the output can see its own target",
    question="Can the output see its own target?",
    rung=1.3,
    rank=0.5,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        "Make the mask causal (-inf above the diagonal, at every layer)."
        if evidence["shift"] == 1
        else "Shift the labels by one: position t is scored on symbol t + 1."
    ),
    code="inputs, labels = tokens[:, :-1], tokens[:, 1:]\n"
    "mask = nn.Transformer.generate_square_subsequent_mask(inputs.shape[1])",
    source="an input symbol replaced at a time; the scored symbol read off dL/d logits",
)
