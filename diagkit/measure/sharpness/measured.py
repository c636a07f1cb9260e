"""A number that knows its error, of what kind that is, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from diagkit.objective import Objective
from diagkit.result import show_number

Kind = Literal["interval", "sem", "lower bound"]


@dataclass(frozen=True, eq=False, repr=False)
class Measured(float):
    """A float with its error; it can be used wherever a number can.

    Attributes
    ----------
    value : the number. error : its error, NaN where it was not measured.
    kind : what the error means. "interval": the truth lies within value -+ error. "sem": a standard error.
        "lower bound": the truth is at least ``value``, and the error says how far below it the next best of
        the searches ended: small where two of them found the same maximum, no bound on what both missed.
    num_passes : loss evaluations, gradients and products spent, each over all the data.
    samples : the n samples of which ``value`` is the mean; empty where nothing was sampled.
    complete : False where time or a stop button ended the work early.

    Example
    -------
    >>> Measured(2.0, 0.01, "interval", 9), Measured(3.0, 0.25, "lower bound", 40)
    (2 ± 0.01 (interval), >= 3 (lower bound, searches agree within 0.25))
    >>> Measured(2.0, 0.01, "interval", 9) + 1
    3.0
    """

    value: float
    error: float
    kind: Kind
    num_passes: int
    samples: tuple[float, ...] = ()
    complete: bool = True

    def __new__(cls, value: float, *args: Any, **fields: Any) -> Measured:
        return super().__new__(cls, value)

    def __repr__(self) -> str:
        value, error = show_number(self.value), show_number(float(self.error), 2)
        if self.kind == "lower bound":
            return f">= {value} (lower bound, searches agree within {error})"
        return f"{value} ± {error} ({self.kind})"

    def ratio_to(self, before: Measured) -> tuple[float, float]:
        """self / before and the error of that; samples drawn with the same seed are paired.

        To first order the error is that of ``self - ratio * before``, over ``before``.

        Example
        -------
        >>> one = Measured(2.0, 0.5, "sem", 2, (1.5, 2.5))
        >>> twice = Measured(4.0, 1.0, "sem", 2, (3.0, 5.0))
        >>> twice.ratio_to(one), Measured(4.0, 1.0, "sem", 2).ratio_to(one)[1].__round__(3)
        ((2.0, 0.0), 0.707)
        """
        if not (np.isfinite(self) and np.isfinite(before) and before.value):
            return float("nan"), float("nan")
        ratio, scale = self.value / before.value, abs(before.value)
        if len(self.samples) > 1 and len(self.samples) == len(before.samples):
            apart = np.array(self.samples) - ratio * np.array(before.samples)
            return ratio, float(apart.std(ddof=1) / len(apart) ** 0.5 / scale)
        return ratio, float(np.hypot(self.error, ratio * before.error) / scale)


@dataclass
class Passes:
    """Passes over the data since its creation: evaluations, gradients and products, one each."""

    obj: Objective

    def __post_init__(self) -> None:
        self.start = self._total()

    def __int__(self) -> int:
        return self._total() - self.start

    def _total(self) -> int:
        meter = self.obj.meter
        return meter.num_evals + meter.num_gradients + meter.num_hvps
