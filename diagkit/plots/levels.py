"""Round contour levels, so that the colour bar can be read aloud."""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import MaxNLocator


def linear_levels(low: float, high: float, count: int = 9) -> np.ndarray:
    """About ``count`` round levels that enclose [low, high].

    Example
    -------
    >>> linear_levels(0.03, 1.0, 5).round(9).tolist()
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if not high - low > 1e-12 * max(abs(low), abs(high)):  # constant to rounding: one band around the value
        half = max(abs(low), 1.0) / 2
        return np.array([low - half, low + half])
    ticks = np.asarray(MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high))
    step = ticks[1] - ticks[0]
    ticks = np.where(np.abs(ticks) < 1e-9 * step, 0.0, ticks)
    ticks[0], ticks[-1] = min(ticks[0], low), max(ticks[-1], high)  # enclose, whatever rounding did
    return ticks


def log_levels(low: float, high: float, count: int = 9) -> np.ndarray:
    """About ``count`` levels 1, 2, 5, 10, ... or powers of ten that enclose [low, high], 0 < low < high.

    Example
    -------
    >>> log_levels(0.03, 1.9).tolist()
    [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0]
    """
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    decades = last - first
    digits: tuple[float, ...] = (1, 2, 5) if 3 * decades <= 1.5 * count else (1, 3)
    if len(digits) * decades > 1.5 * count:
        every = max(1, round(decades / count))
        return np.array([float(f"1e{n}") for n in range(first, last + every, every)])
    ladder = np.array([float(f"{d}e{n}") for n in range(first, last + 1) for d in digits])
    start = np.flatnonzero(ladder <= low * (1 + 1e-12)).max()
    stop = np.flatnonzero(ladder >= high * (1 - 1e-12)).min()
    return ladder[start : stop + 1]
