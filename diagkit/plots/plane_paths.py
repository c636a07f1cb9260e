"""Ways over a plane: points joined by a line with arrows, and the step off a saddle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from diagkit.errors import InputError
from diagkit.measure.escape import Escape
from diagkit.measure.surface import PlaneSlice
from diagkit.plots.style import outlined

IN_PLANE = 0.9  # share of the step's length that has to lie in the plane
ARROWS = 6


@dataclass(frozen=True)
class WayOut:
    """ends [2, 2]: from the centre to the end of the step in (a, b), cut at the border; its name."""

    ends: np.ndarray
    name: str


def escape_path(plane: PlaneSlice, escape: Escape) -> WayOut:
    """Coordinates of an escape in the plane, from least squares: the sign of an eigenvector is arbitrary.

    Raises
    ------
    InputError : another number of parameters, or a step that mostly leaves the plane.
    """
    if escape.direction.shape != plane.directions.shape[1:]:
        raise InputError(
            f"an escape with {escape.direction.size} parameters",
            allowed=f"one with P = {plane.directions.shape[1]}, as the plane has",
        )
    step = escape.step * escape.direction
    (a, b), *_ = np.linalg.lstsq(plane.directions.T, step, rcond=None)
    inside = np.linalg.norm(plane.directions.T @ (a, b))
    if inside < IN_PLANE * np.linalg.norm(step):
        raise InputError(
            f"an escape with {100 * inside / np.linalg.norm(step):.0f} % of its step in this plane",
            allowed=f"{100 * IN_PLANE:.0f} % or more",
            write="loss_plane(obj, [escape.direction, other_direction])",
        )
    end = np.array([a, b])
    limits = np.array([plane.a[-1 if a > 0 else 0], plane.b[-1 if b > 0 else 0]])
    with np.errstate(divide="ignore", invalid="ignore"):
        fits = np.nanmin(np.where(end != 0, limits / end, np.inf), initial=1.0)
    if not escape.escaped:
        name = "no escape found"
    elif fits < 1:
        name = "escape step (ends outside)"
    else:
        name = "escape step"
    return WayOut(np.array([[0.0, 0.0], end * fits]), name)


def draw_path(ax: Axes, path: Any, name: str, color: str) -> Any:
    """A line through the points with a few arrow heads; the last one at the end."""
    points = np.asarray(path, dtype=float)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise InputError(f"a path of shape {list(points.shape)}", allowed="[n, 2]: one row (a, b) per point")
    if not np.isfinite(points).all():
        raise InputError("a path with NaN or Inf", allowed="finite coordinates (a, b)")
    line = ax.plot(
        *points.T, color=color, linewidth=3.0, path_effects=outlined("white", 5.5), label=name, zorder=4
    )[0]
    moves = np.flatnonzero(np.any(np.diff(points, axis=0) != 0, axis=1))
    every = max(1, len(moves) // ARROWS)
    for k in moves[::-1][::every][::-1]:
        head = {
            "arrowstyle": "-|>",
            "color": color,
            "linewidth": 2.5,
            "mutation_scale": 24,
            "shrinkA": 0,
            "shrinkB": 0,
        }
        ax.annotate("", xy=tuple(points[k + 1]), xytext=tuple(points[k]), arrowprops=head, zorder=5)
    return line
