"""Evaluate a function on nested subgrids until a spline through them predicts the finer ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import RectBivariateSpline

from diagkit.work import interrupted, progress

COARSEST = 5  # points per axis of the first grid; its error is seen on the next one


@dataclass(frozen=True)
class Grid:
    """loss [n, n]; evaluated [n, n]; max_error as a fraction of the range, 0 where all is evaluated."""

    loss: np.ndarray
    evaluated: np.ndarray
    max_error: float
    complete: bool


def subgrids(size: int) -> list[np.ndarray]:
    """Nested index sets of 5, 9, 17, ... points with both ends and the middle, the last one all.

    Example
    -------
    >>> [len(indices) for indices in subgrids(51)]
    [5, 9, 17, 33, 51]
    """
    sets, points = [], COARSEST
    while points < size:
        # The middle, theta itself, is always in: an odd number of nodes about it. An even axis ends one
        # cell short of symmetric, and there its end takes the last node's place.
        nodes = np.round(np.linspace(0, size - size % 2, points)).astype(int)
        sets.append(np.unique(np.minimum(nodes, size - 1)))
        points = 2 * points - 1
    return [*sets, np.arange(size)]


def refine(f: Callable[[float, float], float], axis: np.ndarray, tol: float | None) -> Grid:
    """Evaluate f on axis x axis until the held-out error is within ``tol`` of the range."""
    size = len(axis)
    loss = np.full((size, size), np.nan)
    done = np.zeros((size, size), dtype=bool)
    levels = subgrids(size) if tol is not None else [np.arange(size)]
    error, coarse = 0.0, None
    with progress("surface: evaluations", size * size) as advance:
        for indices in levels:
            predicted = None if coarse is None else _spline(axis, coarse, loss)
            held_out = []
            for i in indices:
                for j in indices:
                    if done[i, j]:
                        continue
                    if interrupted():
                        return _partial(axis, coarse, loss, done, error)
                    loss[i, j] = f(float(axis[i]), float(axis[j]))
                    done[i, j] = True
                    advance(1)
                    held_out.append((i, j))
            values = loss[done]
            if not np.isfinite(values).all():
                coarse = None  # no smoothing over what is not finite: the last level computes every cell
                continue
            spread = float(np.ptp(values)) or 1.0
            if predicted is not None and tol is not None and held_out:
                rows, columns = np.array(held_out).T
                error = float(np.abs(predicted[rows, columns] - loss[rows, columns]).max()) / spread
                if error <= tol:
                    filled = _spline(axis, indices, loss)
                    return Grid(np.where(done, loss, filled), done, 0.0 if done.all() else error, True)
            coarse = indices
    return Grid(loss, done, 0.0, True)


def _spline(axis: np.ndarray, indices: np.ndarray, loss: np.ndarray) -> np.ndarray:
    nodes = axis[indices]
    degree = min(3, len(nodes) - 1)
    return RectBivariateSpline(nodes, nodes, loss[np.ix_(indices, indices)], kx=degree, ky=degree)(axis, axis)


def _partial(
    axis: np.ndarray, coarse: np.ndarray | None, loss: np.ndarray, done: np.ndarray, error: float
) -> Grid:
    """What is known when the time is up: the last whole level, interpolated, or bare cells."""
    if coarse is None:
        return Grid(loss, done, float("nan"), False)
    return Grid(np.where(done, loss, _spline(axis, coarse, loss)), done, error or float("nan"), False)
