"""Is it one function on all ranks? Whole models, the same weights; differing buffers are settled."""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import torch
from torch import Tensor, nn

from diagkit.errors import InputError
from diagkit.objective.fixed_loss import FixedLoss
from diagkit.objective.ranks import Alone, Ranks


def whole(model: Any) -> Any:
    """The module inside ``DistributedDataParallel`` and ``torch.compile``; sharded parameters are refused.

    Example
    -------
    >>> layer = nn.Linear(1, 1)
    >>> whole(layer) is layer
    True
    """
    inner = model
    while True:
        if isinstance(inner, nn.parallel.DistributedDataParallel):
            inner = inner.module
        elif isinstance(inner, nn.Module) and hasattr(inner, "_orig_mod"):
            inner = inner._orig_mod
        else:
            break
    if isinstance(inner, nn.Module) and _is_sharded(inner):
        raise InputError(
            f"a {type(inner).__name__} whose parameters are sharded over the ranks (FSDP, tensor parallel)",
            allowed="all parameters on each rank, plain or in DistributedDataParallel",
            write="a plain copy of the model, loaded on every rank with the full state dict "
            "(torch.distributed.checkpoint.state_dict, StateDictOptions(full_state_dict=True))",
        )
    return inner


def _is_sharded(model: nn.Module) -> bool:
    # Nothing can be of a class whose module was never imported, and importing these takes a while.
    fsdp, tensor = (sys.modules.get(f"torch.distributed.{name}") for name in ("fsdp", "tensor"))
    wrapped = fsdp is not None and any(isinstance(m, fsdp.FullyShardedDataParallel) for m in model.modules())
    return wrapped or (tensor is not None and any(isinstance(p, tensor.DTensor) for p in model.parameters()))


def same_function(ranks: Alone | Ranks, fixed: FixedLoss, theta: Tensor) -> None:
    """Make sure that the ranks have one model with the same weights; buffers become those of the first rank.

    Raises
    ------
    InputError : another model, other options or other weights on some rank.
    """
    if isinstance(ranks, Alone):
        return
    layout, buffers = fixed.layout, dict(fixed._buffers)
    weights = {**layout.split(theta), **fixed._others}
    with ranks.together():
        if ranks.needs_cuda and layout.device.type != "cuda":
            raise InputError(
                f"a model on {layout.device} in a process group of nccl, which adds up on GPUs alone",
                allowed="a model on this rank's GPU, or a group that has gloo as well",
                write="init_process_group('cpu:gloo,cuda:nccl')",
            )
        kinds = [(n, tuple(t.shape), t.dtype) for n, t in [*weights.items(), *buffers.items()]]
        kind = [_number(repr(kinds).encode()), _number(fixed.norm_stats.encode())]
        bits = torch.tensor([_bits(t) for t in (*weights.values(), *buffers.values())])
    for column, what in zip(
        ranks.gather(torch.tensor(kind)).T, ("shapes or dtypes", "norm_stats"), strict=True
    ):
        _refuse_odd(ranks, column, f"a model with other {what}")
    numbers = ranks.gather(bits)
    for column, name in zip(numbers.T, weights, strict=False):
        _refuse_odd(ranks, column, f"other values of {name}")
    odd = [
        n
        for n, column in zip(buffers, numbers.T[len(weights) :], strict=True)
        if bool((column != column[0]).any())
    ]
    for name in odd:
        fixed._buffers[name] = ranks.from_first(buffers[name])
    if odd:
        fixed.found.notes.append(
            f"{len(odd)} buffers differ between the ranks, as BatchNorm statistics do: those of "
            f"{ranks.name(0)} are used ({', '.join(odd[:3])})"
        )


def all_examples(ranks: Alone | Ranks, fixed: FixedLoss, sizes: list[int]) -> int:
    """N, the number of examples of all ranks together, for ``sizes`` of this rank's batches.

    What one rank found of the loss counts for all. Noise drawn inside the model becomes that of one process
    with the batches of all ranks, rank after rank.
    """
    if isinstance(ranks, Alone):
        return sum(sizes)
    found = fixed.found
    facts = ranks.gather(torch.tensor([sum(sizes), len(sizes), int(found.random), int(found.is_mean)]))
    fixed.seed += int(facts[: ranks.rank, 1].sum())
    found.random, found.is_mean = bool(facts[:, 2].any()), bool(facts[:, 3].all())
    return int(facts[:, 0].sum())


def _refuse_odd(ranks: Ranks, column: Tensor, what: str) -> None:
    odd = (column != column[0]).nonzero().flatten().tolist()
    if odd:
        raise InputError(
            f"{what} on {', '.join(map(ranks.name, odd))} than on {ranks.name(0)} (replicas-out-of-sync)",
            allowed="the same model, weights and options on every rank, so that there is one loss to measure",
            write="DistributedDataParallel(model), or the same checkpoint loaded on every rank",
        )


def _bits(tensor: Tensor) -> int:
    data = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return _number(data.data)


def _number(data: Any) -> int:
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big", signed=True)
