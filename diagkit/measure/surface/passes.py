"""Forward passes at points of a surface, in this process: one after the other, or several at once."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from diagkit.objective import Batch, Objective
from diagkit.objective.products import wide
from diagkit.objective.sums import loss_share

MOST_AT_ONCE = 64  # beyond, a chunk only answers later to a stop
# What torch says of an operation that it knows only for single points.
ONE_BY_ONE = "There is a performance drop because we have not yet implemented the batching rule"
SHARE = 0.25  # of the memory budget: what the activations of points evaluated together may hold


def points_at_once(device: torch.device, bytes_per_point: float, budget: float) -> int:
    """How many points a single call evaluates; by what is known beforehand, not by timing.

    On the CPU one: ``vmap`` over points takes longer than the loop (benchmarks/results/points.md). On other
    devices a small model's pass leaves most of the device idle while kernels are launched, and points side by
    side share the launches: as many as a quarter of the memory budget holds, 64 at the most. (Reasoned;
    benchmarks/points.py measures it where there is such a device.)

    Example
    -------
    >>> points_at_once(torch.device("cpu"), 1e6, 4e9), points_at_once(torch.device("cuda"), 1e6, 4e9)
    (1, 64)
    >>> points_at_once(torch.device("cuda"), 5e8, 4e9), points_at_once(torch.device("cuda"), 5e9, 4e9)
    (2, 1)
    """
    if device.type == "cpu":
        return 1
    return max(1, min(MOST_AT_ONCE, int(SHARE * budget / max(bytes_per_point, 1.0))))


class Passes:
    """L(origin + sum_j c_j d_j) for coordinates c, of this process's examples.

    Parameters
    ----------
    origin : [P]. directions : k vectors [P], on the layout's device and in its dtype.
    at_once : points per call of :meth:`losses`; None asks :func:`points_at_once`. It becomes 1 where the
        model cannot be mapped over its parameters (control flow that hangs on data, noise, buffers written in
        place, operations that ``vmap`` does one by one).
    """

    def __init__(
        self, obj: Objective, origin: Tensor, directions: Sequence[Tensor], at_once: int | None = None
    ) -> None:
        self.fixed, self.batches, self.num_examples = obj.fixed, obj.batches, obj.num_examples
        self.origin, self.directions = origin, tuple(directions)
        # Ranks see batches of different sizes, and must all add up as many points in one sum.
        at_once = 1 if obj.ranks.size > 1 else at_once
        self.at_once = at_once or points_at_once(
            origin.device, self._bytes_per_point(), float(obj.memory_budget)
        )

    def _bytes_per_point(self) -> float:
        activations = self.fixed.found.bytes_per_example * max(batch.size for batch in self.batches)
        return activations + self.origin.numel() * self.origin.element_size()

    def point(self, coordinates: Sequence[float]) -> Tensor:
        """theta [P] at k coordinates; multiplied, then added, in order, whose rounding decides bits."""
        point = self.origin
        for c, direction in zip(coordinates, self.directions, strict=True):
            point = point + float(c) * direction
        return point

    def losses(self, points: Sequence[Tensor]) -> Tensor:
        """The losses [m] in float64 at m points [P]; NaN or Inf as found. Call inside ``fixed.quiet()``."""
        if self.at_once > 1 and len(points) > 1:
            try:
                return self._together(torch.stack(list(points)))
            except Exception:  # what is wrong with the model itself is told by the loop
                self.at_once = 1
        return torch.cat([self._alone(point) for point in points])

    def _alone(self, point: Tensor) -> Tensor:
        return loss_share(self.fixed, point, self.batches, self.num_examples)

    def _together(self, points: Tensor) -> Tensor:
        """By ``vmap`` over the rows of points [m, P]."""
        total = torch.zeros(len(points), dtype=wide(points.device), device=points.device)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.filterwarnings("error", message=ONE_BY_ONE)
            for index, batch in enumerate(self.batches):
                losses = torch.func.vmap(partial(self._of_batch, batch, index))(points)
                total += losses.reshape(-1) * (batch.size / self.num_examples)
        return total.cpu().double()

    def _of_batch(self, batch: Batch, index: int, point: Tensor) -> Tensor:
        return self.fixed.of_batch(self.fixed.layout.split(point), batch, index)
