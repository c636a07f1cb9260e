"""Finite steps that check what derivatives say: kinks, flat directions, escapes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diagkit.objective import Objective


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


def walk(obj: Objective, direction: Tensor, steps: np.ndarray, slope: float = 0.0) -> Walk:
    """Walk along a unit direction, both ways. ``slope``: a gradient component to be left out of account."""
    base = obj.loss()
    theta = obj.theta
    d = direction.to(theta)
    changes = [
        [obj.loss(theta + sign * float(t) * d) - base - sign * float(t) * slope for t in steps]
        for sign in (1.0, -1.0)
    ]
    change = np.nan_to_num(np.array(changes), nan=np.inf)
    eps = torch.finfo(obj.layout.dtype).eps
    return Walk(np.asarray(steps), change, noise=20 * eps * max(abs(base), np.finfo(float).tiny))


def steps_for(curvature: float, loss: float, dtype: torch.dtype) -> np.ndarray:
    """Step lengths at which a curvature moves the loss by 1e2, 1e3, ... times its rounding."""
    eps = torch.finfo(dtype).eps
    visible = np.array([1e2, 1e3, 1e4]) * eps * max(abs(loss), 1e-30)
    return np.sqrt(2 * visible / max(abs(curvature), 1e-300))
