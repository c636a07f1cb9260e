"""Targets that are a few whole numbers: codes of classes, or counts and grades?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diagkit.diagnosis.audit.labels import Table

FEWEST, MOST = 6, 32  # of fewer, an order cannot be told from chance: p >= 2 / K!
RARE = 1 / 3  # of its even share, below which a code is too rare for a class
PERMUTATIONS = 999


@dataclass(frozen=True)
class Codes:
    """values [K], a run of whole numbers; index [n], which of them each target is."""

    values: Tensor
    index: Tensor


def codes_of(known: Table) -> Codes | None:
    """None unless real targets are whole numbers in a row, none much rarer than the others."""
    if not known.are_numbers or known.targets.numel() != known.size:
        return None
    targets = known.targets.flatten().double()
    if not bool((targets == targets.round()).all()):
        return None
    values, index, counts = targets.unique(return_inverse=True, return_counts=True)
    if not FEWEST <= len(values) <= MOST or float(values[-1] - values[0]) != len(values) - 1:
        return None
    even = known.size / len(values)
    return None if float(counts.min()) < RARE * even else Codes(values, index)


def order_p_value(known: Table, codes: Codes, seed: int) -> float | None:
    """Share of orders in which the class means of the inputs lie on as short a path as in that of the codes.

    Counts and grades follow each other in the inputs, names of classes do not. None without real inputs.
    """
    features = known.features
    if features is None:
        return None
    spread = features.std(0)
    z = (features - features.mean(0)) / torch.where(spread > 0, spread, 1.0)
    means = torch.stack([z[codes.index == k].mean(0) for k in range(len(codes.values))])
    apart = torch.cdist(means, means).numpy()

    def length(order: np.ndarray) -> float:
        return float(apart[order[:-1], order[1:]].sum())

    draw, own = np.random.default_rng(seed), np.arange(len(apart))
    given = length(own)
    as_short = sum(length(draw.permutation(own)) <= given * (1 + 1e-9) for _ in range(PERMUTATIONS))
    return (as_short + 1) / (PERMUTATIONS + 1)
