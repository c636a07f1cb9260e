"""Predictions and targets that do not line up: each is compared with all, and the pairing is lost."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from diagkit.diagnosis.audit.loss_response import same_losses
from diagkit.diagnosis.audit.probe import COMPLAINTS, Probe, Seen, probe
from diagkit.diagnosis.audit.repair import bench_of, trained_on, with_output
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_PROOF, Check, Evidence, Judgement
from diagkit.objective import Batch, Stepwise

PERMUTATIONS = 3


def measure(case: Case) -> Evidence:
    numbers: dict[str, Any] = {"output": None, "target": None, "apart": False, "lost": False}
    found = probe(case)
    if found is None:
        return Evidence(numbers)
    with found.quiet():
        batch = found.batches[0]
        seen = found.see(batch)
        if seen.output is None or seen.target is None:
            return Evidence(numbers)
        numbers |= {"output": tuple(seen.output.shape), "target": tuple(seen.target.shape)}
        numbers["apart"] = spread_out(seen.output, seen.target)
        if numbers["apart"]:
            numbers["lost"] = pairing_is_lost(found, batch, seen)
    if not numbers["lost"]:
        return Evidence(numbers)
    trial = _trial(case, seen)
    return Evidence(numbers, (trial,), trial)


def spread_out(output: Tensor, target: Tensor) -> bool:
    """As many numbers in both, in shapes that together spread to more: (n, 1) with (n,)."""
    if output.numel() != target.numel() or output.shape == target.shape:
        return False
    try:
        return torch.broadcast_shapes(output.shape, target.shape).numel() > output.numel()
    except RuntimeError:
        return False


def pairing_is_lost(found: Probe, batch: Batch, seen: Seen) -> bool:
    """Shuffling the targets among the examples leaves the loss, but not the loss of lined-up shapes."""
    assert seen.output is not None
    assert seen.target is not None
    draw = torch.Generator().manual_seed(found.seed)
    payloads = [batch.payload]
    for _ in range(PERMUTATIONS):
        order = torch.randperm(batch.size, generator=draw).to(seen.target.device)
        payloads.append(seen.with_target(seen.target[order]))
    lined_up = seen.target.shape

    def losses(change: Any) -> list[float]:
        return [float(found.see(Batch(p, batch.size), change).loss.detach()) for p in payloads]

    try:
        as_given = losses(None)
        paired = losses(lambda output: output.reshape(lined_up))
    except COMPLAINTS:
        return False
    dtype = seen.output.dtype
    return same_losses(as_given, dtype) and not same_losses(paired, dtype)


def _trial(case: Case, seen: Seen) -> Any:
    assert seen.target is not None
    own = case.step or Stepwise.of_pairs(case.loss_fn).step
    tail = seen.target.shape[1:]
    repaired = with_output(own, lambda output: output.reshape(output.shape[0], *tail))
    bench = bench_of(case, repaired)
    return bench.compare(trained_on(None, "shapes lined up"), trained_on(own, "shapes as before"))


def judge(evidence: Evidence) -> Judgement:
    return SUPPORTED_BY_PROOF if evidence["lost"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    output, target = evidence["output"], evidence["target"]
    if output is None:
        return "Cannot be seen: output or target are not one tensor each."
    shapes = f"output {output}, target {target}"
    if judgement.verdict == "supported":
        return f"No ({shapes}): they spread to a table, and shuffling the targets leaves the loss as it is."
    return f"Yes ({shapes})" + (": they differ, but the loss sees the pairs." if evidence["apart"] else ".")


CHECK = Check(
    cause="loss-shapes-broadcast",
    meaning="prediction and target do not line up: every one is compared with every other",
    question="Do predictions and targets line up in the loss?",
    rung=1.1,
    rank=0.3,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        f"Give both the same shape before the loss; here {evidence['output']} meets {evidence['target']}."
    ),
    code="output = model(x).reshape(y.shape)\nloss = loss_fn(output, y)",
    source="the loss is invariant to a permutation of the targets; pytorch/pytorch#18349",
)
