"""The loss along a line: its shape, where the model is, and what the curvature alone would say."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from diagkit.errors import InputError
from diagkit.measure.surface import LineSlice
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, short, styled

LOG_FROM = 1000.0  # a log axis bends the shape, so only where a linear one shows nothing
NAMES = {
    "between two points": "t: from here (0) to the other point (1)",
    "given": "t: step along the given direction",
    "random, filter-normalized": "t: step along a random direction (filter-normalized)",
}


@draw.register
def draw_line(
    result: LineSlice,
    ax: Axes | None = None,
    *,
    curvature: float | None = None,
    slope: float = 0.0,
    name: str = "loss",
) -> Drawn:
    """The loss against the step t; several lines on one ``ax`` differ in colour, dashes and marker.

    Parameters
    ----------
    curvature : d^T H d; adds the parabola L(0) + slope t + (1/2) curvature t^2, dashed.
    slope : g^T d for that parabola; 0 at a critical point.
    name : of this line in the legend.

    Raises
    ------
    InputError : a curvature or slope that is not finite; a parabola without a finite loss at t = 0.
    """
    zero = int(np.abs(result.t).argmin())
    here = float(result.loss[zero])
    if curvature is not None and not (np.isfinite(curvature) and np.isfinite(slope)):
        raise InputError(f"curvature = {curvature}, slope = {slope}", allowed="finite numbers")
    if curvature is not None and not np.isfinite(here):
        raise InputError("a parabola where the loss at t = 0 is not finite", allowed="curvature=None")
    with styled(ax) as axes:
        earlier = sum(line.get_gid() == "diagkit-line" for line in axes.lines)
        color, dashes, marker = style.CURVES[earlier % len(style.CURVES)]
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
                label=name,
                gid="diagkit-line",
            )[0]
        }
        if style.spans(result.loss, LOG_FROM) and not (result.loss[known] == 0).any():
            axes.set_yscale("log")
        if curvature is not None:
            limits = axes.get_ylim()
            parabola = here + slope * result.t + 0.5 * curvature * result.t**2
            text = f"parabola of curvature {short(curvature)}"
            artists["parabola"] = axes.plot(result.t, parabola, "--", color=style.ORANGE, label=text)[0]
            axes.set_ylim(limits)
        if not known.all():
            artists["not_finite"] = axes.plot(
                result.t[~known],
                np.full((~known).sum(), 0.97),
                "x",
                color=style.VERMILLION,
                markeredgewidth=2.5,
                transform=axes.get_xaxis_transform(),
                label=_gap_label(result, int((~known).sum())),
            )[0]
        if result.t[zero] == 0.0 and np.isfinite(here):
            artists["here"] = axes.plot(
                [0.0],
                [here],
                marker="*",
                markersize=20,
                color=style.BLACK,
                markeredgecolor="white",
                linestyle="none",
                label=f"here: loss {short(here, 4)}",
                zorder=5,
            )[0]
        partial = "" if result.complete else " (partial)"
        y = "loss (log scale)" if axes.get_yscale() == "log" else "loss"
        label(axes, title=f"Loss along a line{partial}", x=NAMES.get(result.kind, "t: step"), y=y)
        axes.grid(alpha=0.3)
        artists["legend"] = legend_below(axes)
        return Drawn(axes, artists)


def _gap_label(result: LineSlice, count: int) -> str:
    return f"not finite ({count} of {len(result.t)})" if result.complete else f"no number ({count})"
