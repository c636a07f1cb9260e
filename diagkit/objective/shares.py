"""Which examples are this rank's: every example on exactly one rank."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch.utils._pytree import tree_map
from torch.utils.data import DataLoader, Dataset, Subset

from diagkit.errors import InputError
from diagkit.objective.batches import batch_size_of, cut, is_one_batch
from diagkit.objective.meeting import chosen_group


def share_of(data: Any, process_group: Any = None) -> Any:
    """This rank's part of ``data`` that every rank has or can open: part r of R, in order.

    The parts are of nearly equal size, none overlaps and none is left out. (``DistributedSampler`` repeats
    examples where they do not come out even, or drops them: a slightly different loss.)

    Parameters
    ----------
    data : (X, y) of tensors or arrays, a dict of them, or a Dataset with a length, which is not read here.
    process_group : as in :class:`diagkit.Objective`; without several ranks the data are returned as they are.

    Raises
    ------
    InputError : data that cannot be cut, or fewer examples than ranks.

    Example
    -------
    >>> X, y = torch.arange(4), torch.arange(4)
    >>> share_of((X, y)) == (X, y)
    True
    """
    group = chosen_group(process_group)
    if group is None:
        return data
    rank, size = dist.get_rank(group), dist.get_world_size(group)
    if isinstance(data, Dataset) and hasattr(data, "__len__"):
        return Subset(data, _part(len(data), rank, size))
    if is_one_batch(data):
        whole = tree_map(lambda x: torch.as_tensor(x) if isinstance(x, np.ndarray) else x, data)
        examples = batch_size_of(whole)
        part = _part(examples, rank, size)
        return cut(whole, slice(part.start, part.stop), examples)
    loader = isinstance(data, DataLoader)
    raise InputError(
        f"data of type {type(data).__name__}",
        allowed="(X, y) tensors, a dict of tensors, or a Dataset with a length",
        write="DataLoader(dk.share_of(loader.dataset), batch_size=...)"
        if loader
        else "each rank's own examples as the data of Objective",
    )


def _part(examples: int, rank: int, size: int) -> range:
    if examples < size:
        raise InputError(f"{examples} examples for {size} ranks", allowed="one example per rank or more")
    return range(examples * rank // size, examples * (rank + 1) // size)
