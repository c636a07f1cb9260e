r"""By what factor does something grow from layer to layer, and is that beyond the scatter between layers?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
LARGE = 100.0  # of a squared norm over all layers together: a factor of 10 in the norm


@dataclass(frozen=True)
class Growth:
    """Factor per layer of a squared norm, over ``num_steps`` steps from one layer to the next.

    ``interval`` is the 95 % interval of the mean logarithm by Student's t, taking the steps as independent;
    nan with fewer than two.
    """

    factor: float
    interval: tuple[float, float]
    num_steps: int

    @property
    def verdict(self) -> str:
        """Of all steps together, against a factor of 10 in the norm: does the interval lie beyond, or within?

        "exploding", "vanishing", "steady", or "undecided" where the interval leaves it open.
        """
        if np.isnan(self.interval).any():
            return "undecided"
        low, high = (np.float64(end) ** self.num_steps for end in self.interval)
        if low > LARGE:
            return "exploding"
        if high < 1 / LARGE:
            return "vanishing"
        return "steady" if low >= 1 / LARGE and high <= LARGE else "undecided"


def growth(squares: np.ndarray) -> Growth:
    r"""The geometric mean of squares[l + 1] / squares[l], for squares [L] in the direction of growth.

    Zeros after something positive (all units dead, or underflow) make the factor 0.

    Example
    -------
    >>> growth(np.array([1.0, 1.0, 1.0]))
    Growth(factor=1.0, interval=(1.0, 1.0), num_steps=2)
    >>> growth(np.array([1.0, 1.0, 0.0])).verdict, growth(np.array([1.0, 2.0])).verdict
    ('vanishing', 'undecided')
    """
    before, after = squares[:-1], squares[1:]
    known = np.isfinite(before) & np.isfinite(after) & (before > 0)
    count = int(known.sum())
    if not count:
        return Growth(float("nan"), (float("nan"), float("nan")), 0)
    if not (after[known] > 0).all():
        return Growth(0.0, (0.0, 0.0), count)
    steps = np.log(after[known]) - np.log(before[known])
    mean = steps.mean()
    if count < 2:
        return Growth(_factor(mean), (float("nan"), float("nan")), count)
    half = stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) * steps.std(ddof=1) / np.sqrt(count)
    return Growth(_factor(mean), (_factor(mean - half), _factor(mean + half)), count)


def _factor(logarithm: float) -> float:
    with np.errstate(over="ignore"):
        return float(np.exp(logarithm))
