"""What slope and curvature foretell along a line, and how far that holds."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from diagkit.measure.surface import LineSlice
from diagkit.plots import style
from diagkit.plots.style import short, tick_names

BEYOND = 0.15  # of the range of the loss: the parabola is drawn so far outside it and no farther
SHADE = 22.0  # points, width of the shade along the part where it holds


def draw_parabola(ax: Axes, result: LineSlice, color: str) -> dict[str, Any]:
    """The parabola, the part where it holds, its minimum; nothing where it was not measured."""
    reach = result.parabola_holds_to
    if reach is None:
        return {}
    here = float(result.loss[result.t == 0.0][0])
    t = np.linspace(result.t[0], result.t[-1], 401)
    parabola = here + result.slope * t + 0.5 * result.curvature * t**2
    low, high = _view(result)
    inside = (low <= parabola) & (parabola <= high)
    artists: dict[str, Any] = {
        "parabola": ax.plot(
            t,
            np.where(inside, parabola, np.nan),
            ":",
            color=color,
            linewidth=style.LINE + 1,
            label=f"curvature {short(result.curvature)}, {_good_to(result, reach)}",
        )[0]
    }
    if reach > 0:
        artists["holds"] = ax.plot(
            t[good := np.abs(t) <= reach],
            parabola[good],
            color=color,
            linewidth=SHADE,
            alpha=0.25,
            solid_capstyle="butt",
            zorder=1,
        )[0]
    return artists | _minimum(ax, result, here, (low, high), color)


def _good_to(result: LineSlice, reach: float) -> str:
    if reach == 0:
        return "good nowhere"
    return "good all along" if reach >= np.abs(result.t).max() else f"good to ±{short(reach)}"


def _view(result: LineSlice) -> tuple[float, float]:
    finite = result.loss[np.isfinite(result.loss)]
    room = BEYOND * float(np.ptp(finite)) or 0.1 * (abs(float(finite[0])) or 1.0)
    return float(finite.min()) - room, float(finite.max()) + room


def _minimum(
    ax: Axes, result: LineSlice, here: float, view: tuple[float, float], color: str
) -> dict[str, Any]:
    """What is foretold at the parabola's lowest point, and the loss there, read off between the samples.

    Nothing where that point lies outside the line, or closer to the model than the next sample.
    """
    if not result.curvature > 0:
        return {}
    t = -result.slope / result.curvature
    spacing = float(np.diff(result.t).min())
    if not (result.t[0] <= t <= result.t[-1] and abs(t) >= spacing):
        return {}
    foretold = here - 0.5 * result.slope**2 / result.curvature
    loss = float(np.interp(t, result.t, result.loss))
    if not np.isfinite(loss):
        return {}
    two = tick_names(np.array([foretold, loss]))
    words = f"lowest: {two[0]} foretold, {two[1]} is"
    shown = float(np.clip(foretold, *view))
    gap = ax.plot([t, t], [shown, loss], color=color, linewidth=style.LINE, zorder=4)[0]
    ends = ax.plot(
        [t, t],
        [shown, loss],
        "D",
        color=color,
        markersize=style.MARKER,
        markeredgecolor="white",
        linestyle="none",
        label=words,
        zorder=4,
    )[0]
    return {"minimum": ends, "gap": gap}
