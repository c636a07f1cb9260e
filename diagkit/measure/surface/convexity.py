"""Does a surface look convex? No cell may lie visibly above the mean of two on either side of it."""

from __future__ import annotations

import numpy as np

VISIBLE = 0.01  # of the range of the loss: a bump below it is not seen in a picture


def bump(loss: np.ndarray) -> float:
    """The largest f(p) - (f(p - s) + f(p + s)) / 2 of the cells, in units of the range; at least 0.

    ``loss`` [n, m] on an equidistant grid; s runs over both axes and both diagonals, at all distances. A
    convex f has none: f(p) <= (f(p - s) + f(p + s)) / 2. Infinite where the loss is not finite somewhere.

    Example
    -------
    >>> t = np.linspace(-1, 1, 5)
    >>> bump(t[:, None] ** 2 + t**2), bump(t[:, None] ** 2 - t**2)
    (0.0, 0.5)
    """
    if not np.isfinite(loss).all():
        return float("inf")
    size, highest = min(loss.shape), 0.0
    for s in range(1, (size - 1) // 2 + 1):
        low, middle, high = slice(None, -2 * s), slice(s, -s), slice(2 * s, None)
        whole = slice(None)
        for rows, columns in (
            ((low, middle, high), (whole, whole, whole)),
            ((whole, whole, whole), (low, middle, high)),
            ((low, middle, high), (low, middle, high)),
            ((low, middle, high), (high, middle, low)),
        ):
            before, here, after = (loss[i, j] for i, j in zip(rows, columns, strict=True))
            excess = here - (before + after) / 2
            highest = max(highest, float(excess.max()))
    return highest / (float(np.ptp(loss)) or 1.0)
