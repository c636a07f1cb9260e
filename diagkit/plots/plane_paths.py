"""Ways over a plane: points joined by a line with arrows, and the step off a saddle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from diagkit.errors import InputError
from diagkit.measure.escape import Escape
from diagkit.measure.surface import PlaneSlice
from diagkit.plots import style
from diagkit.plots.style import outlined

IN_PLANE = 0.9  # share of the step's length that has to lie in the plane
ARROWS = 6
# As for curves, colour is never the only cue.
LOOKS = (
    (style.VERMILLION, "-", "o"),
    (style.SKY, "--", "s"),
    (style.PURPLE, "-.", "^"),
    (style.BLACK, ":", "D"),
    (style.GREEN, "-", "v"),
)


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


def named_paths(path: Any, name: str) -> dict[str, np.ndarray]:
    """One path, or a dict of several, each [n, 2], by name."""
    if path is None:
        return {}
    return {key: _checked(way) for key, way in (path if isinstance(path, Mapping) else {name: path}).items()}


def look_of(number: int) -> tuple[str, str, str]:
    """Colour, dashes and the mark at the start of the n-th path."""
    return LOOKS[number % len(LOOKS)]


def draw_path(ax: Axes, plane: PlaneSlice, way: np.ndarray, name: str, number: int) -> Any:
    """A line through the points with a mark at the start and a few arrow heads; the last one at the end."""
    color, dashes, marker = look_of(number)
    beyond = any(
        (x < axis[0]).any() or (x > axis[-1]).any() for x, axis in zip(way.T, (plane.a, plane.b), strict=True)
    )
    line = ax.plot(
        *way.T,
        color=color,
        linestyle=dashes,
        linewidth=3.0,
        path_effects=outlined("white", 5.5),
        label=f"{name} (leaves the picture)" if beyond else name,
        zorder=4,
    )[0]
    ax.plot(*way[0], marker, color=color, markersize=11, markeredgecolor="white", zorder=5)
    for k in _arrows(way, plane):
        head = {
            "arrowstyle": "-|>",
            "color": color,
            "linewidth": 2.5,
            "mutation_scale": 24,
            "shrinkA": 0,
            "shrinkB": 0,
        }
        ax.annotate("", xy=tuple(way[k + 1]), xytext=tuple(way[k]), arrowprops=head, zorder=5)
    return line


def _arrows(way: np.ndarray, plane: PlaneSlice) -> np.ndarray:
    """Moves that end in an arrow head: the last one, and others at equal distances on paper."""
    far = np.cumsum(np.linalg.norm(np.diff(way, axis=0) / [np.ptp(plane.a), np.ptp(plane.b)], axis=1))
    if not far.size or far[-1] == 0.0:
        return np.empty(0, dtype=int)
    wanted = far[-1] * np.arange(1, ARROWS + 1) / ARROWS
    return np.unique(np.searchsorted(far, wanted * (1 - 1e-9)))


def _checked(way: Any) -> np.ndarray:
    points = np.asarray(way, dtype=float)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise InputError(f"a path of shape {list(points.shape)}", allowed="[n, 2]: one row (a, b) per point")
    if not np.isfinite(points).all():
        raise InputError("a path with NaN or Inf", allowed="finite coordinates (a, b)")
    return points
