"""The barrier on a line between two points: how far the loss rises above what lies straight between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Barrier:
    """Height [loss], where it is [t], and between what it lies: (low, high) [loss]."""

    height: float
    at: float
    interval: tuple[float, float]


UNKNOWN = Barrier(float("nan"), float("nan"), (float("nan"), float("nan")))


def barrier(t: np.ndarray, loss: np.ndarray, rounding: float) -> Barrier:
    r"""max over sampled t in [0, 1] of L(t) - ((1 - t) L(0) + t L(1)); never below 0.

    The highest sample is a lower bound, up to ``rounding``. Between two samples the excess over the chord
    may be higher: with second differences -s^2 nearby, by s^2 / 8 at a smooth peak, by up to s^2 / 2 at a
    kink, of which networks of ReLU have many; the latter is taken. This is an estimate: a rise narrower than
    the spacing is not seen. Where a sample is NaN there is no upper end.

    ``t`` starts with 0, is equidistant up to 1, and holds 1; else the answer is :data:`UNKNOWN`.

    Source: Frankle et al. 2020 (arXiv:1912.05671), Entezari et al. 2022 (arXiv:2110.06296).

    Example
    -------
    >>> t = np.linspace(0, 1, 5)
    >>> found = barrier(t, 4 * t * (1 - t) + t, rounding=0.0)
    >>> found.height, found.at, found.interval
    (1.0, 0.5, (1.0, 1.25))
    """
    inside = t <= 1.0
    t, loss = t[inside], loss[inside]
    if t[-1] != 1.0 or not np.isfinite(loss[[0, -1]]).all():
        return UNKNOWN
    excess = loss - ((1 - t) * loss[0] + t * loss[-1])
    known = ~np.isnan(excess)
    top = int(np.nanargmax(excess))
    height = max(0.0, float(excess[top]))
    high = height + missed(excess) + rounding if known.all() else float("inf")
    return Barrier(height, float(t[top]) if height else 0.0, (max(0.0, height - rounding), high))


def missed(excess: np.ndarray) -> float:
    """By how much the excess may rise above its highest sample between samples, by second differences.

    Example
    -------
    >>> missed(np.array([0.0, 1.0, 0.0]))  # a second difference of 2
    1.0
    """
    if len(excess) < 3 or not np.isfinite(excess).all():
        return float("inf")
    bends = -np.diff(excess, 2)  # bends[i] belongs to node i + 1
    if len(bends) > 1:  # and on to both ends, where the excess may turn within the last interval
        bends = np.concatenate([[2 * bends[0] - bends[1]], bends, [2 * bends[-1] - bends[-2]]])
    else:
        bends = np.repeat(bends, 3)
    padded = np.pad(np.maximum(bends, 0.0), 1)
    nearby = np.lib.stride_tricks.sliding_window_view(padded, 4).max(axis=1)  # for each interval
    return max(0.0, float((np.maximum(excess[:-1], excess[1:]) + nearby / 2).max() - excess.max()))
