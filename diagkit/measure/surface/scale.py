"""How far apart two losses are on a picture: as a share of the range that its colours span."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LOG_FROM = 30.0  # the largest loss over the smallest positive one, above which colours are logarithmic
BELOW = 0.1  # predictions below the smallest loss count down to this share of it


@dataclass(frozen=True)
class Scale:
    """Colours from ``low`` to ``high``; ``floor`` is the smallest positive loss on a logarithmic scale."""

    low: float
    high: float
    floor: float | None

    @classmethod
    def of(cls, losses: np.ndarray) -> Scale:
        """The scale that these losses, some of them not finite, ask for.

        Example
        -------
        >>> Scale.of(np.array([0.1, 1.0, np.nan])).floor, Scale.of(np.array([0.0, 0.01, 1.0])).floor
        (None, 0.01)
        """
        finite = losses[np.isfinite(losses)]
        if not finite.size:
            return cls(0.0, 0.0, None)
        low, high = float(finite.min()), float(finite.max())
        if low < 0 or high <= 0:
            return cls(low, high, None)
        floor = float(finite[finite > 0].min())
        return cls(low, high, floor if high / LOG_FROM > floor else None)

    @property
    def name(self) -> str:
        """ "linear" or "log"."""
        return "linear" if self.floor is None else "log"

    def error(self, predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
        """|predicted - true| as a fraction of the range.

        On a log scale the larger of that and the same of the logarithms.

        Example
        -------
        >>> Scale(0.0, 2.0, None).error(np.array([1.0]), np.array([0.5]))
        array([0.25])
        >>> Scale(1.0, 100.0, 1.0).error(np.array([10.0]), np.array([1.0]))
        array([0.5])
        """
        share = np.abs(predicted - true) / ((self.high - self.low) or 1.0)
        if self.floor is None:
            return share
        logs = [np.log(np.maximum(x, BELOW * self.floor)) for x in (predicted, true)]
        return np.maximum(share, np.abs(logs[0] - logs[1]) / np.log(self.high / self.floor))
