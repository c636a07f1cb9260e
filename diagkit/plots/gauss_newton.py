"""Each large curvature cut in two: the loss function's share, and that of the model's own curvature."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from diagkit.measure.gauss_newton import GaussNewtonSplit
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, short, styled

WIDTH = 0.36  # of a bar, in ranks
MOST_NUMBERS = 8  # bars that also carry their share in numbers


@draw.register
def draw_gauss_newton_split(result: GaussNewtonSplit, ax: Axes | None = None) -> Drawn:
    """Two bars at each rank: v^T G v and v^T R v, whose sum, the curvature of H, is the black diamond.

    Dashed lines are the extreme curvatures of R anywhere. The shares are written above in percent.
    """
    values = result.hessian.values
    rank = np.arange(1, len(values) + 1)
    inside = np.where(np.isnan(result.shares), 0.0, result.shares) * values
    rest = np.where(np.isnan(result.shares), 0.0, values - inside)
    with styled(ax) as axes:
        artists: dict[str, Any] = {"zero": axes.axhline(0.0, color="black", linewidth=style.THIN)}
        artists["gauss_newton"] = axes.bar(
            rank - WIDTH / 2, inside, WIDTH, color=style.BLUE, label="Gauss-Newton part $v^TGv$"
        )
        artists["rest"] = axes.bar(
            rank + WIDTH / 2,
            rest,
            WIDTH,
            color=style.ORANGE,
            edgecolor="black",
            hatch=style.HATCH,
            linewidth=style.THIN,
            label="the model's own part $v^TRv$",
        )
        artists["hessian"] = axes.errorbar(
            rank,
            values,
            yerr=result.hessian.residuals,
            fmt="D",
            color=style.BLACK,
            markersize=style.MARKER,
            capsize=5,
            label="Hessian: their sum",
        )
        ends = [float(result.residual_smallest.values[0]), float(result.residual_largest.values[0])]
        artists["ends"] = [
            axes.axhline(end, color=style.VERMILLION, linestyle="--", linewidth=2.0) for end in ends
        ]
        artists["ends"][0].set_label(f"extremes of R: {short(ends[0])} and {short(ends[1])}")
        heights = np.max([values, inside, rest, np.zeros(len(rank))], axis=0)
        top = max(float(heights.max()), float(np.abs(ends).max()), np.finfo(float).tiny)
        if len(rank) <= MOST_NUMBERS:
            artists["shares"] = [
                axes.annotate(
                    "?" if np.isnan(share) else f"{100 * share:.0f} %",
                    (place, height),
                    xytext=(0, 10),
                    textcoords="offset points",
                    ha="center",
                )
                for place, height, share in zip(rank, heights, result.shares, strict=True)
            ]
        axes.set_ylim(min(0.0, *ends, float(rest.min()), float(values.min())) - 0.08 * top, 1.22 * top)
        axes.set_xlim(0.4, len(rank) + 0.6)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        partial = "" if result.complete else " (partial)"
        label(
            axes,
            title="Whose curvature? Gauss-Newton's share" + partial,
            x="rank (1: largest curvature)",
            y="curvature along v",
        )
        artists["legend"] = legend_below(axes)
        return Drawn(axes, artists)
