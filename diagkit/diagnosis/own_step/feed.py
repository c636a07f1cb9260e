"""Batches for the user's step, of the kind that its loop hands over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_map
from torch.utils.data import DataLoader, Dataset

from diagkit.objective import batch_size_of, cut, is_one_batch


def batches_for(data: Any, batch_size: int, seed: int, read: Callable[[], Sequence[Any]]) -> Iterator[Any]:
    """Epoch after epoch; tensors and data sets are cut and shuffled, batches are handed on as they come.

    Tensors are copied: a step may write into its batch. ``read`` gives the batches of an iterator, which
    can be read no second time.
    """
    generator = torch.Generator().manual_seed(seed)
    while True:
        for payload in _one_epoch(data, batch_size, generator, read):
            yield tree_map(lambda x: x.clone() if isinstance(x, Tensor) else x, payload)


def _one_epoch(
    data: Any, batch_size: int, generator: torch.Generator, read: Callable[[], Sequence[Any]]
) -> Iterator[Any]:
    if isinstance(data, DataLoader):
        yield from data
    elif isinstance(data, Dataset) and hasattr(data, "__len__"):
        yield from DataLoader(data, batch_size=batch_size, shuffle=True, generator=generator)
    elif is_one_batch(data):
        whole = tree_map(lambda x: torch.as_tensor(x) if isinstance(x, np.ndarray) else x, data)
        size = batch_size_of(whole)
        for chosen in torch.randperm(size, generator=generator).split(batch_size):
            if len(chosen) > 1 or size == 1:  # BatchNorm cannot train on a single example
                yield cut(whole, chosen, size)
    elif iter(data) is data:
        yield from read()
    else:
        yield from data


def reseed(data: Any, seed: int) -> None:
    """Another data order: a loader's own generator, if it has one; call where its state is put back."""
    generator = getattr(data, "generator", None)
    if isinstance(generator, torch.Generator):
        generator.manual_seed(seed)
