"""What a step along the axes of a plane means, and the true shape of the picture."""

from __future__ import annotations

import numpy as np

from diagkit.measure.surface import PlaneSlice
from diagkit.plots.style import short

SQUARE = 0.1  # the cosine below which two directions count as orthogonal: 6 degrees
SLIM = 2.0  # sides of a picture in true shape differ by no more than this

THETA = "in units of θ"
WEIGHTS = "1 = as long as the weights"
SAME = "same unit as a"
# kind: words and unit for a, words and unit for b
MEANINGS = {
    "eigenvectors": ("lowest curvature", THETA, "highest curvature", THETA),
    "random, filter-normalized": ("random step", WEIGHTS, "another random step", WEIGHTS),
    "trajectory": ("first principal component", THETA, "second principal component", THETA),
    "gradient and its turn": ("step downhill", THETA, "where the gradient turns", THETA),
    "gradient, which does not turn, and random": ("step downhill", THETA, "random step across", THETA),
    "between two points": ("from here (0) to the other (1)", "", "random step across", WEIGHTS),
    "through three points": ("from here (0) to the second (1)", "", "across, to the third", SAME),
    "through a curve": ("from here (0) to the other (1)", "", "across, to the bend", SAME),
}


def axis_names(result: PlaneSlice) -> tuple[str, str]:
    """Of a and b, with units; that of b on two lines."""
    a, a_unit, b, b_unit = _meaning(result)
    return f"a: {a} ({a_unit})" if a_unit else f"a: {a}", f"b: {b}\n({b_unit})"


def brief_names(result: PlaneSlice) -> tuple[str, str]:
    """Of a and b where there is little room: without units."""
    a, _, b, _ = _meaning(result)
    return f"a: {a}", f"b: {b}"


def true_aspect(result: PlaneSlice) -> float | None:
    """Length of a unit of b over that of a on paper, where the picture can have the shape of the plane.

    None where the directions are not orthogonal, or the picture would be a narrow strip.
    """
    lengths = np.linalg.norm(result.directions, axis=1)
    cosine = result.directions[0] @ result.directions[1] / lengths.prod()
    ratio = float(lengths[1] / lengths[0])
    sides = ratio * np.ptp(result.b) / np.ptp(result.a)
    return ratio if abs(cosine) < SQUARE and 1 / SLIM <= sides <= SLIM else None


def _meaning(result: PlaneSlice) -> tuple[str, str, str, str]:
    if result.kind in MEANINGS:
        return MEANINGS[result.kind]
    lengths = np.linalg.norm(result.directions, axis=1)
    one, other = (THETA if abs(x - 1) < 1e-3 else f"1 = {short(x)} {THETA}" for x in lengths)
    return "direction 1", one, "direction 2", other
