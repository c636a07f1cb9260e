"""How often does it work? Success rates, and the difference of two, with intervals for few runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from diagkit.errors import InputError
from diagkit.objective import check_count
from diagkit.result import Result

ENOUGH_RUNS = 20  # per arm


@dataclass(frozen=True)
class SuccessRate:
    """``successes`` out of ``runs``.

    Example
    -------
    >>> rate = SuccessRate(18, 20)
    >>> rate.value, [round(x, 3) for x in rate.limits(0.95)]
    (0.9, [0.699, 0.972])
    """

    successes: int
    runs: int

    def __post_init__(self) -> None:
        check_count("runs", self.runs)
        check_count("successes", self.successes, least=0)
        if self.successes > self.runs:
            raise InputError(f"{self.successes} successes in {self.runs} runs", allowed="no more than runs")

    @property
    def value(self) -> float:
        """The share of successes."""
        return self.successes / self.runs

    def limits(self, level: float = 0.95) -> tuple[float, float]:
        """Wilson's score interval (Wilson 1927): it stays within [0, 1] and has a width at 0 and at 1 too."""
        found = stats.binomtest(self.successes, self.runs).proportion_ci(level, method="wilson")
        return float(found.low), float(found.high)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class RateDifference(Result):
    """Success rate of the second arm less that of the first.

    Attributes
    ----------
    first, second : the rates. value : their difference. interval : its 95 % interval.
    """

    first: SuccessRate
    second: SuccessRate
    value: float
    interval: tuple[float, float]
    unit: str = ""

    num_undefined = 0  # a run that diverged did not succeed

    @property
    def count(self) -> int:
        """Runs in the smaller arm."""
        return min(self.first.runs, self.second.runs)

    @property
    def is_enough(self) -> bool:
        """At least twenty runs in each arm: a claim is judged by no fewer."""
        return self.count >= ENOUGH_RUNS

    @property
    def counted(self) -> str:
        """What the numbers rest on, in words."""
        a, b = self.first, self.second
        return f"{a.successes} of {a.runs} runs against {b.successes} of {b.runs}"

    def limits(self, level: float) -> tuple[float, float]:
        """Newcombe's interval at another level."""
        (low_a, high_a), (low_b, high_b) = self.first.limits(level), self.second.limits(level)
        a, b = self.first.value, self.second.value
        return (
            self.value - float(np.hypot(b - low_b, high_a - a)),
            self.value + float(np.hypot(high_b - b, a - low_a)),
        )

    def summary(self) -> dict[str, Any]:
        return {
            "first": f"{self.first.successes}/{self.first.runs}",
            "second": f"{self.second.successes}/{self.second.runs}",
            "value": self.value,
            "interval": list(self.interval),
        }


def rate_difference(first: Any, second: Any) -> RateDifference:
    r"""Difference of two success rates of separate runs.

    .. math:: p_b - p_a - \sqrt{(p_b - l_b)^2 + (u_a - p_a)^2} \;\ldots\;
              p_b - p_a + \sqrt{(u_b - p_b)^2 + (p_a - l_a)^2}

    with Wilson's limits l, u of each (Newcombe 1998, Statistics in Medicine 17:873, method 10).

    Parameters
    ----------
    first, second : booleans, one per run, True for a success.

    Raises
    ------
    InputError : no runs, or values other than booleans (0 and 1 count as such).

    Example
    -------
    >>> rate_difference([True] * 48 + [False] * 32, [True] * 56 + [False] * 14)  # Newcombe's table II, (a)
    RateDifference(first=48/80, second=56/70, value=0.2, interval=[0.05243, 0.3339])
    """
    a, b = _rate(first), _rate(second)
    found = RateDifference(first=a, second=b, value=b.value - a.value, interval=(0.0, 0.0))
    return RateDifference(first=a, second=b, value=found.value, interval=found.limits(0.95))


def _rate(successes: Any) -> SuccessRate:
    values = np.asarray(successes)
    if values.ndim != 1 or not values.size or not np.isin(values, (0, 1)).all():
        raise InputError(
            f"successes of shape {values.shape}", allowed="one boolean per run", write="losses < 0.1"
        )
    return SuccessRate(int(values.sum()), values.size)
