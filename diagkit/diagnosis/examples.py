"""How many examples a diagnosis can afford: those it trains on, and the fewer that it measures on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from diagkit.objective import (
    Objective,
    is_one_batch,
    read_batches,
    same_random_state,
    tensors_in,
    thinned,
)

MOST_EXAMPLES = 4096
MOST_ELEMENTS = 1 << 25  # of the inputs in all: 128 MB of float32
FEWEST = 64
GROWTH = 4
DEFAULT_BATCH = 32


def examples_to_read(data: Any) -> int:
    """Up to 4096 examples, fewer where each is large."""
    example = _one_example(data)
    elements = max((t.numel() for t in tensors_in(example)), default=1)
    return max(FEWEST, min(MOST_EXAMPLES, MOST_ELEMENTS // max(elements, 1)))


def read_payloads(data: Any, seed: int, *, pairs: bool) -> list[Any]:
    """Batches of so many examples, as the data come; ``pairs``: each must be (inputs, targets)."""
    with same_random_state():
        found = read_batches(data, max_examples=examples_to_read(data), seed=seed, pairs=pairs)
    return [batch.payload for batch in found]


def _one_example(data: Any) -> Any:
    """An example to see its size; () where none can be had without consuming the data."""
    if isinstance(data, DataLoader):
        data = data.dataset
    if isinstance(data, (tuple, list)) and len(data) == 2 and isinstance(data[0], Tensor):
        return data[0][:1]
    try:
        return data[0] if hasattr(data, "__len__") and len(data) else ()
    except (TypeError, KeyError, IndexError, NotImplementedError):
        return ()


def came_cut(data: Any, cuts: Sequence[int]) -> bool:
    """Were the batches cut by the user, rather than by us out of tensors or a dataset?"""
    return isinstance(data, DataLoader) or (
        len(cuts) > 1 and not isinstance(data, Dataset) and not is_one_batch(data)
    )


def step_size(data: Any, cuts: Sequence[int], optimizer: torch.optim.Optimizer | None) -> int:
    """Examples in a training step: the user's cut; all of them for L-BFGS; else the default of ``train``."""
    if isinstance(data, DataLoader) and data.batch_size:
        return int(data.batch_size)
    if came_cut(data, cuts):
        return int(np.median(cuts))
    # A line search makes no sense on a function that changes under it.
    whole = isinstance(optimizer, torch.optim.LBFGS)
    return sum(cuts) if whole else min(DEFAULT_BATCH, sum(cuts))


def affordable(obj: Objective, seconds: float) -> Objective:
    """A random part of the examples on which one gradient takes at most about ``seconds``.

    Tried on 64 examples, four times as many, and so on: a pass has a fixed cost, so that few examples say
    little about many.
    """
    number = FEWEST
    while number < obj.num_examples:
        part = thinned(obj, number, obj.fixed.seed)
        part.gradient()  # warm
        started = time.perf_counter()
        part.gradient()
        if GROWTH * (time.perf_counter() - started) > seconds:
            return part
        number *= GROWTH
    return obj
