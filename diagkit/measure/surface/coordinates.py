"""Grid coordinates along a direction: equidistant, true displacements, with 0 among them."""

from __future__ import annotations

import numpy as np

from diagkit.objective import check_count, check_positive


def around_zero(low: float, high: float, resolution: int) -> np.ndarray:
    """``resolution`` equidistant coordinates from about ``low`` to ``high`` [resolution], 0 among them.

    ``low <= 0 <= high``. The grid is moved by at most half a spacing, so that 0 is a node: the point itself
    is always seen. Symmetric bounds need no move. An even number ends one spacing short of ``high``.

    Example
    -------
    >>> around_zero(-1.0, 1.0, 5), around_zero(-0.25, 1.25, 7)
    (array([-1. , -0.5,  0. ,  0.5,  1. ]), array([-0.25,  0.  ,  0.25,  0.5 ,  0.75,  1.  ,  1.25]))
    """
    odd = resolution + 1 - resolution % 2
    place = -low / (high - low) * (odd - 1)  # of 0, counted in spacings from low
    node = min(round(place), resolution - 1)
    shift = (place - node) * (high - low) / (odd - 1)
    coordinates = np.linspace(low + shift, high + shift, odd)
    coordinates[node] = 0.0
    return coordinates[:resolution]


def centred(extent: float, resolution: int) -> np.ndarray:
    """``resolution`` equidistant coordinates from -extent with 0 among them.

    An odd number ends at +extent; an even one, which has no middle, ends one spacing short of it.

    Example
    -------
    >>> centred(1.0, 5), centred(1.0, 4)
    (array([-1. , -0.5,  0. ,  0.5,  1. ]), array([-1. , -0.5,  0. ,  0.5]))
    """
    return around_zero(-extent, extent, resolution)


def towards(extent: float, resolution: int) -> np.ndarray:
    """``resolution`` coordinates from 0 to ``extent``, 1 among them where ``extent`` is 1 or more.

    Equidistant up to 1, where the other point lies, and again beyond it.

    Example
    -------
    >>> towards(1.0, 5), towards(1.5, 4), towards(0.5, 3)
    (array([0.  , 0.25, 0.5 , 0.75, 1.  ]), array([0. , 0.5, 1. , 1.5]), array([0.  , 0.25, 0.5 ]))
    """
    if extent <= 1.0:
        return np.linspace(0.0, extent, resolution)
    inside = min(max(1, round((resolution - 1) / extent)), resolution - 2)  # spacings up to 1
    beyond = np.linspace(1.0, extent, resolution - inside)
    return np.concatenate([np.linspace(0.0, 1.0, inside + 1), beyond[1:]])


def check_grid(extent: float, resolution: int) -> None:
    """Refuse an extent or a resolution that makes no grid."""
    check_positive("extent", extent, write="1.0")
    check_count("resolution", resolution, least=3, write="51")
