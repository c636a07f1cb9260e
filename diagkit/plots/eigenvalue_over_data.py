"""A curvature and what it would be for other examples."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from diagkit.measure.eigenvalue_over_data import EigenvalueOverData
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, short, styled

BINS = 40


@draw.register
def draw_eigenvalue_over_data(result: EigenvalueOverData, ax: Axes | None = None) -> Drawn:
    """The bootstrap distribution of v^T H v, its 95 % interval, and the value on all examples."""
    low, high = result.interval
    with styled(ax) as axes:
        heights, _, bars = axes.hist(
            result.resampled, BINS, color=style.SKY, edgecolor="white", linewidth=0.5, label="resampled"
        )
        top = float(np.max(heights))
        artists: dict[str, Any] = {"resampled": bars}
        artists["value"] = axes.axvline(
            result.value, color=style.BLACK, label=f"value: {short(result.value)}"
        )
        artists["interval"] = axes.errorbar(
            [result.value],
            [1.12 * top],
            xerr=[[max(0.0, result.value - low)], [max(0.0, high - result.value)]],
            fmt="D",
            color=style.VERMILLION,
            capsize=10,
            elinewidth=style.LINE,
            label=f"95 % interval: {short(low)} to {short(high)}",
        )
        axes.set_ylim(0.0, 1.25 * top)
        partial = "" if result.complete else " (partial)"
        title = f"Curvature along one direction,\nover draws of examples{partial}"
        label(axes, title=title, x="curvature vᵀHv, v held fixed", y=f"of {len(result.resampled)} resamples")
        artists["legend"] = legend_below(axes)
        return Drawn(axes, artists)
