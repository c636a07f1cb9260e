"""The loss along a line: its shape, where the model is, and what the derivatives there foretell."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from diagkit.measure.surface import LineSlice
from diagkit.measure.surface.line import BETWEEN
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.line_barrier import barrier_words, draw_barrier
from diagkit.plots.line_parabola import draw_parabola
from diagkit.plots.style import label, legend_below, short, styled

LOG_FROM = 1000.0  # a log axis bends the shape, so only where a linear one shows nothing
LINE, HERE = "diagkit-line", "diagkit-here"  # gids: what earlier calls drew on the same axes
# kind: name in the legend, meaning of t
KINDS = {
    BETWEEN: ("straight way", "t: from here (0) to the other point (1)"),
    "given": ("given direction", "t: step along the given direction"),
    "random, filter-normalized": ("random direction", "t: random step (1 = as long as the weights)"),
    "gradient": ("downhill", "t: step downhill, against the gradient (in units of θ)"),
    "lowest curvature": ("lowest curvature", "t: step along the lowest curvature (in units of θ)"),
    "highest curvature": ("highest curvature", "t: step along the highest curvature (in units of θ)"),
}
SEVERAL = "t: step along each direction (in its unit)"
ONE_TITLE, SEVERAL_TITLE = "Loss along a line", "Loss along lines through the model"


@draw.register
def draw_line(result: LineSlice, ax: Axes | None = None, *, name: str | None = None) -> Drawn:
    """The loss against the step t; several lines on one ``ax`` differ in colour, dashes and marker.

    Where slope and curvature were measured (``parabola=True``): the parabola, dotted, shaded as far as it is
    within 10 % of its own range of the loss, and what it foretells at its minimum beside the loss there.
    Between two points: the barrier, from the chord up to the loss.

    Parameters
    ----------
    name : of this line in the legend; None: of its direction.
    """
    kind, meaning = KINDS.get(result.kind, ("line", "t: step"))
    at_zero = np.flatnonzero(result.t == 0.0)
    here = float(result.loss[at_zero[0]]) if at_zero.size else float("nan")
    with styled(ax) as axes:
        number = sum(line.get_gid() == LINE for line in axes.lines)
        color, dashes, marker = style.CURVES[number % len(style.CURVES)]
        known = np.isfinite(result.loss)
        artists: dict[str, Any] = {
            "loss": axes.plot(
                result.t,
                np.where(known, result.loss, np.nan),
                color=color,
                linestyle=dashes,
                marker=marker,
                markersize=5,
                markevery=max(1, len(result.t) // 25),
                label=kind if name is None else name,
                gid=LINE,
            )[0]
        }
        if style.spans(result.loss, LOG_FROM) and not (result.loss[known] == 0).any():
            axes.set_yscale("log")
        artists |= draw_parabola(axes, result, color)
        if not known.all():
            artists["not_finite"] = _gaps(axes, result, ~known)
        if np.isfinite(here):
            artists |= _here(axes, here)
        artists |= draw_barrier(axes, result)
        _name(axes, result, meaning)
        axes.grid(alpha=0.3)
        artists["legend"] = legend_below(axes)
        return Drawn(axes, artists)


def _gaps(ax: Axes, result: LineSlice, gaps: np.ndarray) -> Any:
    """Crosses at the upper border where there is no number."""
    count = int(gaps.sum())
    words = f"not finite ({count} of {len(result.t)})" if result.complete else f"no number ({count})"
    return ax.plot(
        result.t[gaps],
        np.full(count, 0.97),
        "x",
        color=style.VERMILLION,
        markeredgewidth=2.5,
        transform=ax.get_xaxis_transform(),
        label=words,
    )[0]


def _here(ax: Axes, loss: float) -> dict[str, Any]:
    """A star where the model is, unless another line through it has drawn it."""
    if any(line.get_gid() == HERE and np.isclose(np.asarray(line.get_ydata())[0], loss) for line in ax.lines):
        return {}
    star = ax.plot(
        [0.0],
        [loss],
        marker="*",
        markersize=20,
        color=style.BLACK,
        markeredgecolor="white",
        linestyle="none",
        label=f"here: loss {short(loss)}",
        gid=HERE,
        zorder=5,
    )[0]
    return {"here": star}


def _name(ax: Axes, result: LineSlice, meaning: str) -> None:
    """Title and names of the axes; what an earlier line wrote is made to hold for both."""
    if ax.get_xlabel() in {words for _, words in KINDS.values()} - {meaning}:
        ax.set_xlabel(SEVERAL)
    if ax.get_title() == ONE_TITLE:
        ax.set_title(SEVERAL_TITLE)
    title = ONE_TITLE if result.kind != BETWEEN else f"Loss on the straight way\n{barrier_words(result)}"
    if not result.complete:
        title += " (partial)"
    y = "loss (log scale)" if ax.get_yscale() == "log" else "loss"
    label(ax, title=title, x=meaning, y=y)
