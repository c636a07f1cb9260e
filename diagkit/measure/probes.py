"""Finite steps that check what derivatives say: kinks, flat directions, escapes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diagkit.objective import Objective

JITTERS = 2
SMALLEST_LOSS = 1e-30  # below it a loss counts as 0: squares of steps must stay above float32's smallest


@dataclass(frozen=True)
class Walk:
    """Loss along +d and -d from a point: change[i, j] = L(theta + sign_i * t_j * d) - L(theta)."""

    t: np.ndarray
    change: np.ndarray
    noise: float  # changes below this are rounding

    @property
    def descends(self) -> bool:
        """On one side the loss falls beyond rounding without climbing first."""
        return any(self._falls(row) for row in self.change)

    @property
    def climbs(self) -> bool:
        """On both sides the loss rises beyond rounding without falling first."""
        return all(self._falls(-row) for row in self.change)

    def _falls(self, row: np.ndarray) -> bool:
        beyond = np.flatnonzero(row < -self.noise)
        return bool(beyond.size) and bool(np.all(row[: beyond[0]] < self.noise))


def loss_noise(obj: Objective) -> float:
    """Changes of the loss near theta that are rounding, also where L is 0 as a difference of larger terms.

    Seen by moving every parameter by about sqrt(eps) of itself, where curvature moves L by eps theta^T H
    theta, the size of the terms that cancel; the mean of both sides leaves out the slope.
    """
    theta, base = obj.theta, obj.loss()
    eps = torch.finfo(obj.fixed.precision).eps
    signs = torch.Generator().manual_seed(0)
    seen = [0.0]
    for _ in range(JITTERS):
        jitter = 0.25 * eps**0.5 * torch.randn(theta.shape, generator=signs).to(theta) * theta
        seen.append((obj.loss(theta + jitter) + obj.loss(theta - jitter)) / 2 - base)
    spread = float(np.abs(seen).max()) if np.isfinite(seen).all() else 0.0
    return max(20 * eps * max(abs(base), SMALLEST_LOSS), 4 * spread)


def walk(obj: Objective, direction: Tensor, steps: np.ndarray, slope: float, noise: float) -> Walk:
    """Walk along a unit direction, both ways. ``slope``: a gradient component to be left out of account."""
    base = obj.loss()
    theta = obj.theta
    d = direction.to(theta)
    changes = [
        [obj.loss(theta + sign * float(t) * d) - base - sign * float(t) * slope for t in steps]
        for sign in (1.0, -1.0)
    ]
    change = np.nan_to_num(np.array(changes), nan=np.inf)
    return Walk(np.asarray(steps), change, noise)


def steps_for(obj: Objective, curvature: float, noise: float) -> np.ndarray:
    """Step lengths at which a curvature moves the loss by 5, 50 and 500 times its rounding.

    Never so short that rounding in theta and in terms of size theta^T H theta hides the change.
    """
    visible = np.array([5.0, 50.0, 500.0]) * noise
    theta, eps = obj.theta.double(), torch.finfo(obj.fixed.precision).eps
    shortest = float((200 * eps * theta.square().mean()).sqrt())
    steps = np.sqrt(2 * visible / max(abs(curvature), 1e-300))
    return steps * max(1.0, shortest / steps[0])
