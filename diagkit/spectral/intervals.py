r"""Where a true eigenvalue lies, given Ritz values and their residuals.

A Ritz pair (theta, x) with rho = ||H x - theta x|| has an eigenvalue in [theta - rho, theta + rho], whatever
the rest of the spectrum. If the gap (a, b) around it holds no *other* eigenvalue (Kato 1949, Temple 1928),

    theta - rho^2 / (b - theta)  <=  lambda  <=  theta + rho^2 / (theta - a),

far narrower where rho is small against the gap. No residual can tell that the gap is empty. An eigenvalue may
have been missed; and an even mixture of u and u', with eigenvalues d apart, has rho = d / 2 and theta in the
middle, where there is no eigenvalue (Kato and Temple then enclose the mean of the two).
"""

from __future__ import annotations

import numpy as np


def residual_intervals(values: np.ndarray, residuals: np.ndarray) -> np.ndarray:
    """[k, 2], each with an eigenvalue inside.

    Example
    -------
    >>> residual_intervals(np.array([5.0, 1.0]), np.array([0.5, 0.25]))
    array([[4.5 , 5.5 ],
           [0.75, 1.25]])
    """
    return np.stack([values - residuals, values + residuals], axis=1)


def kato_temple_intervals(
    values: np.ndarray, residuals: np.ndarray, rounding: float, *, whole: bool
) -> np.ndarray:
    """[k, 2] by Kato and Temple, if ``values``, descending, are all there is down to the last.

    The gap ends where the *intervals* of the neighbours begin, not at their values. Above the first
    there is nothing; what follows the last is unknown, unless the list is the ``whole`` spectrum. Where
    intervals overlap, and for an unknown neighbour, the residual alone is used.

    Parameters
    ----------
    residuals [k] : rounding included. rounding : added to what is narrowed.

    Example
    -------
    >>> kato_temple_intervals(np.array([5.0, 1.0]), np.array([0.1, 0.1]), 0.0, whole=False).round(4)
    array([[5.    , 5.0026],
           [0.9   , 1.1   ]])
    """
    theta, rho = values, residuals
    lows, highs = theta - rho, theta + rho
    b = np.r_[np.inf, lows[:-1]]
    a = np.r_[highs[1:], -np.inf if whole else np.inf]
    alone = (highs < b) & (lows > a)
    with np.errstate(divide="ignore", invalid="ignore"):
        down = np.where(alone, np.minimum(rho, rho**2 / (b - theta) + rounding), rho)
        up = np.where(alone, np.minimum(rho, rho**2 / (theta - a) + rounding), rho)
    return np.stack([theta - down, theta + up], axis=1)
