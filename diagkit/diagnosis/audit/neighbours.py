"""Do inputs and targets belong together? Alike inputs should have alike targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from diagkit.diagnosis.audit.labels import Table

MOST = 1500  # examples compared
FEWEST = 64
NEIGHBOURS = 5
SHIFTS = tuple(s for s in range(-8, 9) if s)
PERMUTATIONS = 40


@dataclass(frozen=True)
class Agreement:
    """How much more alike the targets of neighbours are than those of random pairs.

    score : in standard deviations over permutations of the targets. by_shift : the same with the targets
    moved by so many places. excess, excess_by_shift : share of agreement above chance, 1 where neighbours
    are equal.
    """

    score: float
    excess: float
    by_shift: dict[int, float]
    excess_by_shift: dict[int, float]

    @property
    def best_shift(self) -> int:
        return max(self.by_shift, key=lambda s: self.by_shift[s])


def agreement(known: Table, seed: int) -> Agreement | None:
    """Of each example with its five nearest neighbours, in standardized inputs; None without real inputs."""
    features = known.features
    if features is None or known.size < FEWEST or not (known.are_classes or known.are_numbers):
        return None
    X = features[:MOST]
    spread = X.std(0)
    z = ((X - X.mean(0)) / torch.where(spread > 0, spread, 1.0)).numpy()
    found = cKDTree(z).query(z, k=NEIGHBOURS + 1)[1]
    own = np.arange(len(z))
    pairs = [(i, j) for i in own for j in found[i] if j != i and j < len(z)]
    here, there = np.array(pairs).T
    y = _as_vectors(known.targets[:MOST]).numpy()

    def likeness(values: np.ndarray) -> float:
        return -float(np.square(values[here] - values[there]).sum(1).mean())

    draw = np.random.default_rng(seed)
    chance = np.array([likeness(draw.permutation(y)) for _ in range(PERMUTATIONS)])
    mean, sd = float(chance.mean()), max(float(chance.std(ddof=1)), 1e-12)
    shifted = {s: likeness(np.roll(y, s, axis=0)) for s in SHIFTS}
    zero = likeness(y)
    room = max(-mean, 1e-12)
    return Agreement(
        (zero - mean) / sd,
        (zero - mean) / room,
        {s: (value - mean) / sd for s, value in shifted.items()},
        {s: (value - mean) / room for s, value in shifted.items()},
    )


def _as_vectors(targets: Tensor) -> Tensor:
    if targets.is_floating_point():
        values = targets.double().flatten(1) if targets.ndim > 1 else targets.double()[:, None]
        return values / values.std(0).clamp_min(1e-12)
    return torch.nn.functional.one_hot(targets.unique(return_inverse=True)[1]).double()
