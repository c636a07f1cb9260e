"""Ranks that hold different weights where they should hold the same."""

from __future__ import annotations

import torch
import torch.distributed as dist

from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_PROOF, UNDECIDED, Check, Evidence, Judgement
from diagkit.errors import RankError
from diagkit.objective.meeting import chosen_group, meet


def measure(case: Case) -> Evidence:
    numbers = {"ranks": 1, "differing": 0, "missing": ""}
    group = chosen_group(None)
    if group is None:
        return Evidence(numbers)
    numbers["ranks"] = dist.get_world_size(group)
    try:
        meet(group)  # a collective that not every rank joins would wait for ever
    except RankError as error:
        return Evidence(numbers | {"missing": str(error)})
    mine = fingerprint(case.model)
    everyone = [torch.zeros_like(mine) for _ in range(numbers["ranks"])]  # type: ignore[call-overload]
    dist.all_gather(everyone, mine, group=group)
    numbers["differing"] = sum(not torch.equal(other, everyone[0]) for other in everyone)
    return Evidence(numbers)


def fingerprint(model: torch.nn.Module) -> torch.Tensor:
    """Two sums over the bits of all parameters, one of them weighted by place: exact, int64 [2].

    Example
    -------
    >>> net = torch.nn.Linear(2, 2)
    >>> before = fingerprint(net)
    >>> with torch.no_grad():
    ...     _ = net.weight[0].add_(1e-3)
    >>> torch.equal(before, fingerprint(net))
    False
    """
    sums = []
    for p in model.parameters():
        bits = p.detach().contiguous().view(torch.uint8).flatten().to(torch.int64)
        sums.append(
            torch.stack([bits.sum(), (bits * torch.arange(1, len(bits) + 1, device=bits.device)).sum()])
        )
    weights = torch.arange(1, len(sums) + 1, device=sums[0].device)[:, None]
    return (torch.stack(sums) * weights).sum(0)


def judge(evidence: Evidence) -> Judgement:
    if evidence["missing"]:
        return UNDECIDED
    return SUPPORTED_BY_PROOF if evidence["differing"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if evidence["missing"]:
        return f"Unclear: {evidence['missing'].rstrip('.')}."
    if evidence["ranks"] == 1:
        return "Yes: this process trains alone."
    if judgement.verdict == "refuted":
        return f"Yes: the weights of {evidence['ranks']} ranks are bit-identical."
    return f"No: {evidence['differing']} of {evidence['ranks']} ranks hold other weights than the first."


CHECK = Check(
    cause="replicas-out-of-sync",
    meaning="ranks train apart",
    question="Do all ranks hold the same weights?",
    rung=1.585,
    rank=0.505,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        "Wrap the model after it is moved, send the weights of one rank to all, and let every rank take part "
        "in every synchronized backward pass."
    ),
    code="model = torch.nn.parallel.DistributedDataParallel(model)  # broadcasts the weights of rank 0",
    source="sums over the bits of the parameters of each rank; pytorch/pytorch#104336",
)
