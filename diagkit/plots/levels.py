"""Round contour levels, so that the colour bar can be read aloud, and the scale they are on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.ticker import MaxNLocator

from diagkit.measure.surface.scale import Scale
from diagkit.plots.style import tick_names

MOST_TICKS = 11  # on a colour bar


@dataclass(frozen=True, eq=False)
class Bands:
    """Borders of the bands of colour, ``levels`` [n], from the lowest to the highest loss."""

    levels: np.ndarray
    logarithmic: bool

    @classmethod
    def of(cls, scale: Scale, count: int) -> Bands:
        """About ``count`` bands over the range of the scale, logarithmic where it is.

        Example
        -------
        >>> Bands.of(Scale.of(np.array([0.0, 0.01, 0.9])), 4).levels
        array([0.01, 0.02, 0.05, 0.1 , 0.2 , 0.5 , 1.  ])
        """
        if scale.floor is None:
            return cls(linear_levels(scale.low, scale.high, count), False)
        return cls(log_levels(scale.floor, scale.high, count), True)

    @property
    def name(self) -> str:
        return "loss (log scale)" if self.logarithmic else "loss"

    @property
    def norm(self) -> Normalize:
        """From loss to colour."""
        kind = LogNorm if self.logarithmic else Normalize
        return kind(self.levels[0], self.levels[-1])

    def clipped(self, loss: np.ndarray | float) -> np.ma.MaskedArray:
        """The loss, at least the lowest level; masked where it is not finite."""
        return np.ma.maximum(np.ma.masked_invalid(loss), self.levels[0])

    def height(self, loss: np.ndarray | float) -> np.ndarray:
        """The loss on an axis of this scale: itself, or its decimal logarithm; NaN where not finite."""
        clipped = self.clipped(loss)
        return np.ma.filled(np.ma.log10(clipped) if self.logarithmic else clipped, np.nan)

    def ticks(self, most: int = MOST_TICKS) -> np.ndarray:
        """A part of the levels that is not too many to be read, with the shortest names."""
        if len(self.levels) == 2:  # a constant loss
            return self.levels.mean(keepdims=True)
        every = 1 + len(self.levels) // most
        parts = [self.levels[first::every] for first in range(every)]
        return min(parts, key=lambda part: len("".join(tick_names(part))))


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
