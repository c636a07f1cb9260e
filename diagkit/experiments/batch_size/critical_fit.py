"""Steps against examples: two numbers that say how far larger batches save steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import nnls

from diagkit.errors import InputError
from diagkit.experiments.intervals import student_interval

SEEN = 0.01  # of the steps


@dataclass(frozen=True)
class Tradeoff:
    """S = s_min + e_min / B: steps that no batch can save, examples that no patience can."""

    s_min: float
    e_min: float

    @property
    def critical(self) -> float:
        """B at which steps and examples are both twice their least; 0 or inf where a curve has one end."""
        return self.e_min / self.s_min if self.s_min > 0 else float("inf")

    def steps(self, batch_size: Any) -> np.ndarray:
        """Steps at some batch sizes."""
        return np.asarray(self.s_min + self.e_min / np.asarray(batch_size, dtype=float))


def fit_tradeoff(batch_sizes: Any, steps: Any) -> Tradeoff:
    r"""(S / S_min - 1)(E / E_min - 1) = 1 with E = B S (McCandlish et al. 2018, arXiv:1812.06162), fitted.

    Written out, it is :math:`S = S_{min} + E_{min} / B`: linear in its two numbers. They are found by least
    squares on relative errors, :math:`\sum_B ((S_{min} + E_{min}/B) / S_B - 1)^2`, neither negative. One that
    makes up less than 1 % of the steps at every batch size is 0: the curve shows nothing of it.

    Parameters
    ----------
    batch_sizes : B [m], two or more. steps : S_B [m], positive.

    Raises
    ------
    InputError : fewer than two batch sizes, steps that are not positive and finite.

    Example
    -------
    >>> fit = fit_tradeoff([10, 100, 1000], [1100.0, 200.0, 110.0])
    >>> round(fit.s_min, 6), round(fit.e_min, 6), round(fit.critical, 6)
    (100.0, 10000.0, 100.0)
    """
    b, s = np.asarray(batch_sizes, dtype=float), np.asarray(steps, dtype=float)
    if b.shape != s.shape or b.size < 2 or not (np.isfinite(s).all() and (s > 0).all()):
        raise InputError(
            f"{b.size} batch sizes and steps {s.tolist()}",
            allowed="a positive number of steps for each of two or more batch sizes",
        )
    scale = 1.0 / b.max()  # columns of like size
    solution, _ = nnls(np.stack([1 / s, 1 / (b * scale * s)], axis=1), np.ones_like(s))
    fit = Tradeoff(float(solution[0]), float(solution[1] / scale))
    few, many = fit.steps(b.min()), fit.steps(b.max())
    return Tradeoff(
        fit.s_min if fit.s_min >= SEEN * many else 0.0, fit.e_min if few - fit.s_min >= SEEN * few else 0.0
    )


def critical_interval(batch_sizes: Any, steps: np.ndarray) -> tuple[float, tuple[float, float], bool]:
    """Critical batch size, its 95 % interval over seeds, and whether the curve shows both of its ends.

    A fit for each seed; geometric mean and Student's interval of the logarithms. Where some seed's curve has
    no bend (steps that do not fall, or examples that do not rise, with B) the interval is open: 0 or inf.

    Parameters
    ----------
    steps : [m, K], for each batch size and seed.

    Example
    -------
    >>> steps = np.array([[1100.0], [200.0]]) * np.array([0.9, 1.0, 1.1])
    >>> value, interval, resolved = critical_interval([10, 100], steps)
    >>> round(value, 6), resolved  # the same critical batch size for every seed
    (100.0, True)
    """
    fits = np.array([fit_tradeoff(batch_sizes, column).critical for column in steps.T])
    good = np.isfinite(fits) & (fits > 0)
    if not good.all():
        pooled = fit_tradeoff(batch_sizes, steps.mean(axis=1)).critical
        low = float(fits[good].min()) if good.any() and (fits > 0).all() else 0.0
        high = float(fits[good].max()) if good.any() and np.isfinite(fits).all() else float("inf")
        return pooled, (low, high), False
    logs = np.log(fits)
    low, high = student_interval(logs) if len(logs) > 1 else (-np.inf, np.inf)
    return float(np.exp(logs.mean())), (float(np.exp(low)), float(np.exp(high))), len(logs) > 1
