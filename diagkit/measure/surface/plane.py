"""A plane in parameter space: where a point of it lies, and where a point lies in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from diagkit.errors import InputError
from diagkit.measure.surface.coordinates import around_zero, check_grid

PARALLEL = 1e-6  # a sine below it: rounding decides where points lie
Bounds = tuple[tuple[float, float], tuple[float, float]]
UNIT_SQUARE: Bounds = ((-1.0, 1.0), (-1.0, 1.0))


class Mark(NamedTuple):
    """A known point of a plane and what to call it."""

    name: str
    a: float
    b: float


HERE = Mark("here", 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class Plane:
    """theta(a, b) = origin + a d1 + b d2.

    Attributes
    ----------
    origin, d1, d2 : [P]; the directions need not be orthogonal or of unit length, and are used as they are.
    kind : how the plane came about, in words.
    bounds : ((a_low, a_high), (b_low, b_high)), what a picture of extent 1 shows; 0 lies within.
    marks : known points. seed : None where nothing was random.

    Raises
    ------
    InputError : vectors of different shapes, NaN, directions of zeros or parallel ones, bounds without 0.

    Example
    -------
    >>> plane = Plane(torch.zeros(3), torch.tensor([2.0, 0.0, 0.0]), torch.tensor([0.0, 1.0, 0.0]))
    >>> plane.point(0.5, -1.0)
    tensor([ 1., -1.,  0.])
    >>> plane.coordinates([[4.0, 3.0, 7.0]]), plane.distance([[4.0, 3.0, 7.0]])
    (array([[2., 3.]]), array([7.]))
    """

    origin: Tensor
    d1: Tensor
    d2: Tensor
    kind: str = "given"
    bounds: Bounds = UNIT_SQUARE
    marks: tuple[Mark, ...] = (HERE,)
    seed: int | None = None

    def __post_init__(self) -> None:
        for name in ("origin", "d1", "d2"):
            vector = getattr(self, name)
            if not isinstance(vector, Tensor) or vector.shape != (self.num_params,):
                given = tuple(vector.shape) if isinstance(vector, Tensor) else type(vector).__name__
                raise InputError(f"{name} {given}", allowed="three tensors [P] of one length")
            if not bool(torch.isfinite(vector).all()):
                raise InputError(f"{name} with NaN or Inf", allowed="finite numbers")
        for name in ("d1", "d2"):
            if not bool(getattr(self, name).any()):
                raise InputError("a direction of zeros", allowed="a direction with an entry that is not 0")
        one, other = (d / d.norm() for d in self._wide_directions())
        cosine = float(one @ other)
        if float((other - cosine * one).norm()) < PARALLEL:
            raise InputError(
                f"two directions that are parallel (cosine {cosine:.6f})",
                allowed="directions that span a plane",
            )
        if not all(low <= 0.0 <= high and low < high for low, high in self.bounds):
            raise InputError(f"bounds = {self.bounds}", allowed="(low, high) twice, low <= 0 <= high")

    @property
    def num_params(self) -> int:
        return self.origin.numel()

    def point(self, a: float, b: float) -> Tensor:
        """theta(a, b), [P]."""
        return self.origin + float(a) * self.d1 + float(b) * self.d2

    def coordinates(self, thetas: Any) -> np.ndarray:
        """(a, b) [n, 2] of the points of the plane that are nearest to ``thetas`` [n, P] (least squares)."""
        rows = [self._solve(self._basis[0].T @ offset) for offset in self._offsets(thetas)]
        return np.array([row.numpy() for row in rows]).reshape(-1, 2)

    def distance(self, thetas: Any) -> np.ndarray:
        """How far each of ``thetas`` [n, P] lies from the plane, [n], in the units of theta."""
        q = self._basis[0]
        return np.array([float((offset - q @ (q.T @ offset)).norm()) for offset in self._offsets(thetas)])

    def axes(self, extent: float = 1.0, resolution: int = 51) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates a [n] and b [n] over ``extent`` times the bounds: equidistant, 0 among each."""
        check_grid(extent, resolution)
        a, b = (around_zero(extent * low, extent * high, resolution) for low, high in self.bounds)
        return a, b

    def _wide_directions(self) -> tuple[Tensor, Tensor]:
        """In float64, on the CPU: not every accelerator has it."""
        return self.d1.cpu().double(), self.d2.cpu().double()

    @cached_property
    def _basis(self) -> tuple[Tensor, Tensor]:
        """Q [P, 2] with orthonormal columns and R [2, 2]: [d1 d2] = Q R, in float64."""
        return torch.linalg.qr(torch.stack(self._wide_directions(), dim=1))

    def _solve(self, right: Tensor) -> Tensor:
        return torch.linalg.solve_triangular(self._basis[1], right[:, None], upper=True)[:, 0]

    def _offsets(self, thetas: Any) -> Iterable[Tensor]:
        """theta - origin for one point after the other, so that no second [n, P] is made."""
        origin = self.origin.cpu().double()
        for theta in thetas:
            theta = theta if isinstance(theta, Tensor) else torch.as_tensor(np.asarray(theta))
            if theta.shape != self.origin.shape:
                raise InputError(
                    f"points of shape {tuple(theta.shape)}",
                    allowed=f"thetas [n, P] with P = {self.num_params}",
                    write="thetas[None] for a single point",
                )
            yield theta.detach().cpu().double() - origin
