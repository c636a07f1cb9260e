"""Grid coordinates along a direction: equidistant, true displacements, with 0 among them."""

from __future__ import annotations

import numpy as np

from diagkit.objective import check_count, check_positive


def centred(extent: float, resolution: int) -> np.ndarray:
    """``resolution`` equidistant coordinates from -extent with 0 among them.

    An odd number ends at +extent; an even one, which has no middle, ends one spacing short of it.

    Example
    -------
    >>> centred(1.0, 5), centred(1.0, 4)
    (array([-1. , -0.5,  0. ,  0.5,  1. ]), array([-1. , -0.5,  0. ,  0.5]))
    """
    odd = resolution + 1 - resolution % 2
    coordinates = np.linspace(-extent, extent, odd)
    coordinates[odd // 2] = 0.0
    return coordinates[:resolution]


def check_grid(extent: float, resolution: int) -> None:
    """Refuse an extent or a resolution that makes no grid."""
    check_positive("extent", extent, write="1.0")
    check_count("resolution", resolution, least=3, write="51")
