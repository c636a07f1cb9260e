"""Height lines of training and validation loss over one plane, and the way from one minimum to the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Ellipse
from scipy.interpolate import RectBivariateSpline

from diagkit.measure.surface import PlaneSlice, SurfaceShift
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, note, outlined, short, styled

LINES = 4  # height lines of each surface; each next one at twice the rise
FINE = 121  # points per axis on which they are drawn
LEAST_SPACINGS = 2.0  # of the picture, shown to each side of the minima
BOX = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 2.0}
LOOKS = (("training", "-", "o", style.BLUE), ("validation", "--", "s", style.VERMILLION))
AXES = {
    "random, filter-normalized": ("random direction 1", "random direction 2"),
    "eigenvectors": ("lowest curvature", "highest curvature"),
}
TITLES = {
    "shifted": "The validation minimum is shifted",
    "no shift seen": "No shift beyond its error",
    "undecided": "Shift undecided: not both minima seen",
}


@draw.register
def draw_surface_shift(result: SurfaceShift, ax: Axes | None = None) -> Drawn:
    """Lines of equal rise above each surface's own lowest loss; both minima; the shift with its error.

    The picture is the part of the plane around both minima; the whole of it where one was not found. The
    ellipse reaches two standard errors of the shift along each axis.
    """
    view = _view(result)
    minimum = "" if result.verdict == "undecided" else ", its minimum"
    with styled(ax) as axes:
        artists: dict[str, Any] = {}
        surfaces = [_within(picture, view) for picture in (result.train, result.val)]
        rises = [np.nanmax(z) - np.nanmin(z) if np.isfinite(z).any() else 0.0 for _, _, z in surfaces]
        step = min(rises) / 2**LINES
        for (name, dashes, marker, color), (a, b, z) in zip(LOOKS, surfaces, strict=True):
            if step > 0:
                levels = np.nanmin(z) + step * 2.0 ** np.arange(LINES)
                artists[name] = axes.contour(
                    a, b, np.ma.masked_invalid(z.T), levels=levels, colors=color, linestyles=dashes
                )
            axes.plot(
                [], [], dashes, marker=marker if minimum else None, color=color, label=f"{name}{minimum}"
            )
        if step > 0:
            text = f"lines: {short(step, 2)}, {short(2 * step, 2)}, {short(4 * step, 2)}, … above each lowest"
            artists["lines"] = note(axes, 0.5, 0.04, text, zorder=8, bbox=BOX)
        axes.plot(
            0,
            0,
            "*",
            color=style.BLACK,
            markeredgecolor="white",
            markersize=26,
            linestyle="none",
            label="the model",
            zorder=5,
        )
        if result.train_minimum.found and result.val_minimum.found:
            artists |= _shift(axes, result)
        axes.set_xlim(*view[0])
        axes.set_ylim(*view[1])
        title = TITLES[result.verdict] + ("" if result.complete else " (partial)")
        if np.isfinite(result.rise):
            foretold = f"{short(result.predicted_rise, 2)} ± {short(result.predicted_rise_error, 1)}"
            title += f"\ncost in validation loss {short(result.rise, 2)}, foretold {foretold}"
        x, y = AXES.get(result.train.kind, ("direction 1", "direction 2"))
        label(axes, title=title, x=f"a: step along {x}", y=f"b: {y}")
        artists["legend"] = legend_below(axes)
        return Drawn(axes, artists)


def _shift(ax: Axes, result: SurfaceShift) -> dict[str, Any]:
    start, end = result.train_minimum.where, result.val_minimum.where
    artists: dict[str, Any] = {}
    for (name, _, marker, color), where in zip(LOOKS, (start, end), strict=True):
        artists[f"{name} minimum"] = ax.plot(
            *where, marker, color=color, markersize=12, markeredgecolor="white", zorder=7
        )[0]
    artists["error"] = ax.add_patch(
        Ellipse(
            tuple(end),
            *(4 * result.shift_error),
            facecolor=style.VERMILLION,
            edgecolor=style.VERMILLION,
            alpha=0.2,
            label="±2 standard errors",
        )
    )
    artists["arrow"] = ax.annotate(
        "",
        xy=tuple(end),
        xytext=tuple(start),
        arrowprops={"arrowstyle": "-|>", "linewidth": 3, "color": style.BLACK, "mutation_scale": 24},
        zorder=6,
        path_effects=outlined(),
    )
    return artists


def _view(result: SurfaceShift) -> tuple[tuple[float, float], tuple[float, float]]:
    """Limits along a and b: both minima and the model, with room for lines around them."""
    sides = []
    for k, axis in enumerate((result.train.a, result.train.b)):
        low, high = float(axis[0]), float(axis[-1])
        if result.train_minimum.found and result.val_minimum.found:
            ends = np.array([0.0, result.train_minimum.where[k], result.val_minimum.where[k]])
            room = max(LEAST_SPACINGS * float(axis[1] - axis[0]), np.ptp(ends), 3 * result.shift_error[k])
            low, high = max(low, ends.min() - room), min(high, ends.max() + room)
        sides.append((low, high))
    return sides[0], sides[1]


def _within(
    picture: PlaneSlice, view: tuple[tuple[float, float], tuple[float, float]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """a [n], b [m], loss [n, m] of a part of the picture, smooth enough for height lines."""
    if not np.isfinite(picture.loss).all():
        return picture.a, picture.b, picture.loss
    a, b = (np.linspace(low, high, FINE) for low, high in view)
    degrees = (min(3, len(picture.a) - 1), min(3, len(picture.b) - 1))
    return a, b, RectBivariateSpline(picture.a, picture.b, picture.loss, kx=degrees[0], ky=degrees[1])(a, b)
