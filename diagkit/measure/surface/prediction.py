"""What the evaluated cells say about the others, and how far that may be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from diagkit.measure.surface.interpolation import PolyharmonicSpline
from diagkit.measure.surface.scale import Scale

POWERS = (3, 5)
HOLE = 1.5  # a node left out stands for cells so many times as far as its nearest neighbour, not for farther
NEIGHBOURS = 3  # evaluated cells whose error stands for that of a cell between them


@dataclass(frozen=True, eq=False)
class Prediction:
    """loss [cells]; error [cells] and doubt [cells] as fractions of the range of the picture.

    ``error``: how wrong the spline was about the evaluated cells nearest by, each left out in turn; a cell
    left out leaves a hole of twice the width, so this is more often too large than too small. Where the
    evaluated cells stand close in one direction only, the error grows with the distance to them. ``doubt``:
    the geometric mean of ``error`` and of how much the splines differ among each other: where to look next.
    """

    loss: np.ndarray
    error: np.ndarray
    doubt: np.ndarray

    @property
    def exists(self) -> bool:
        return bool(np.isfinite(self.loss).all())


def predict(places: np.ndarray, known: np.ndarray, losses: np.ndarray) -> Prediction:
    """Predict all ``places`` [cells, 2] in [-1, 1]^2 from the ``known`` ones [cells] with a finite loss.

    Splines of different smoothness, through the loss and, on a logarithmic scale, through its logarithm,
    compete: the one with the least errors at cells left out is used everywhere.
    """
    nodes, values = places[known], losses[known]
    scale = Scale.of(values)
    corner = (np.abs(nodes) == 1.0).all(axis=1)
    splines = list(_splines(places, nodes, values, scale, corner))
    if not splines:
        nothing = np.full(len(places), np.nan)
        return Prediction(nothing, np.full(len(places), np.inf), np.full(len(places), np.inf))
    best, *others = sorted(splines, key=lambda spline: spline.typical)
    tree = cKDTree(nodes)
    hole = HOLE * tree.query(nodes, k=2)[0][:, 1]
    distance, nearest = tree.query(places, k=range(1, min(NEIGHBOURS, len(nodes)) + 1))
    stretch = np.maximum(1.0, distance / hole[nearest])
    error = (best.left_out[nearest] * stretch).max(axis=1)
    differ = np.ones(len(places)) if not others else np.zeros(len(places))
    for other in others:
        differ = np.maximum(differ, np.minimum(scale.error(other.loss, best.loss), 1.0))
    return Prediction(best.loss, error, np.sqrt(np.minimum(error, 1.0) * differ))


@dataclass(frozen=True, eq=False)
class _Spline:
    loss: np.ndarray  # [cells]
    left_out: np.ndarray  # [nodes], error at each node if it had not been evaluated
    typical: float


def _splines(
    places: np.ndarray, nodes: np.ndarray, values: np.ndarray, scale: Scale, corner: np.ndarray
) -> Iterator[_Spline]:
    """Every spline that can be fitted, with what it says of all places."""
    logs = [] if scale.floor is None else [np.log(np.maximum(values, scale.floor))]
    sides = np.stack([values, *logs], axis=1)
    for power in POWERS:
        try:
            spline = PolyharmonicSpline.through(nodes, sides, power)
        except np.linalg.LinAlgError:
            continue
        predicted, without = spline(places), sides - spline.left_out
        for k in range(sides.shape[1]):
            loss, seen = (_exp(x[:, k]) if k else x[:, k] for x in (predicted, without))
            if not np.isfinite(loss).all():
                continue
            left_out = scale.error(seen, values)
            if corner.any() and not corner.all():
                # Without a corner its surroundings are extrapolated, which no cell of the grid ever is.
                inner = np.flatnonzero(~corner)
                near = cKDTree(nodes[inner]).query(nodes[corner], k=min(NEIGHBOURS, len(inner)))[1]
                left_out[corner] = left_out[inner][near.reshape(corner.sum(), -1)].max(axis=1)
            typical = float(np.sqrt(np.mean(np.minimum(left_out, 1.0) ** 2)))
            yield _Spline(loss, left_out, typical)


def _exp(x: np.ndarray) -> np.ndarray:
    return np.exp(np.clip(x, -700.0, 700.0))
