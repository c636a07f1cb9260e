"""How the targets are spread over the batches, and which examples a sampler shows."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

from diagkit.objective import same_data_order, same_random_state

EPOCHS = 4  # of a sampler that are looked through
MOST_DRAWS = 1 << 20


@dataclass(frozen=True)
class Spread:
    """Share of the targets' variation that lies between batches, what chance gives, and its p-value."""

    between: float
    by_chance: float
    p: float


def spread_over_batches(targets: Tensor, cuts: Sequence[int]) -> Spread | None:
    r"""Analysis of variance of targets [n, k] over batches; classes as indicators.

    between = sum_b n_b ||m_b - m||^2 / sum_n ||y_n - m||^2, on average (B - 1) / (n - 1) for shuffled data.
    p by the F test, for indicators an approximation that is safe at the level asked for (1e-6).
    """
    if len(cuts) < 4 or min(cuts) < 2:
        return None
    if targets.is_floating_point():
        values = targets.flatten(1).double() if targets.ndim > 1 else targets.double()[:, None]
    elif targets.ndim == 1:
        values = torch.nn.functional.one_hot(targets.unique(return_inverse=True)[1]).double()
    else:
        return None
    centred = values - values.mean(0)
    total = float(centred.square().sum())
    if total <= 0:
        return None
    parts = centred.split(list(cuts))
    between = sum(len(part) * float(part.mean(0).square().sum()) for part in parts) / total
    n, batches = len(values), len(cuts)
    ratio = between / (batches - 1) / max((1 - between) / (n - batches), 1e-300)
    return Spread(between, (batches - 1) / (n - 1), float(stats.f.sf(ratio, batches - 1, n - batches)))


def is_random(data: Any) -> bool:
    """Does a loader draw its examples at random?"""
    return isinstance(data, DataLoader) and isinstance(data.sampler, RandomSampler)


@dataclass(frozen=True)
class Coverage:
    """distinct of size examples shown in so many draws. settled : later epochs showed none that the first had
    not, so that more of them would show no more. expected : distinct ones, were they drawn evenly.
    """

    distinct: int
    size: int
    draws: int
    settled: bool

    @property
    def expected(self) -> float:
        """In as many draws; where it is settled, in one draw for each example at least."""
        draws = max(self.draws, self.size) if self.settled else self.draws
        return self.size * -float(np.expm1(draws * np.log1p(-1.0 / self.size))) if self.size > 1 else 1.0


def coverage(data: Any) -> Coverage | None:
    """Look through a few epochs of a loader's sampler, on a copy, its random state put back."""
    if not isinstance(data, DataLoader) or not hasattr(data.dataset, "__len__"):
        return None
    own = data.batch_sampler if data.batch_sampler is not None else data.sampler
    if own is None or not hasattr(own, "__iter__"):
        return None
    sampler: Any = copy.copy(own)
    if isinstance(sampler, BatchSampler):
        sampler.sampler = copy.copy(sampler.sampler)
    seen: set[int] = set()
    first = draws = 0
    with same_random_state(), same_data_order(data):
        for epoch in range(EPOCHS):
            for drawn in sampler:
                chosen = drawn if isinstance(drawn, (list, tuple)) else [drawn]
                seen.update(int(i) for i in chosen)
                draws += len(chosen)
                if draws >= MOST_DRAWS:
                    break
            first = first if epoch else len(seen)
    size = len(data.dataset)
    return Coverage(len(seen), size, draws, first == len(seen)) if draws and size else None
