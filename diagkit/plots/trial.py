"""A trial: the same steps from the same checkpoint, with and without the remedy."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from diagkit.diagnosis import Trial
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, short, spans, styled

LOG_RANGE = 30.0
LONGEST, SIDE_BY_SIDE = 60, 48  # letters of an arm's name, of both in one line of the legend


@draw.register
def draw_trial(result: Trial, ax: Axes | None = None) -> Drawn:
    """Loss over all data against steps: each seed thin, the means thick, told apart by dash and marker.

    Runs that were not finite end where they broke off.
    """
    arms = ((result.reference, result.without), (result.remedy, result.with_remedy))
    with styled(ax) as axes:
        artists: dict[str, Any] = {}
        for index, (name, losses) in enumerate(arms):
            colour, dash, marker = style.CURVES[1 - index]
            finite = np.where(np.isfinite(losses), losses, np.nan)
            for row in finite:
                axes.plot(result.steps, row, dash, color=colour, linewidth=style.THIN, alpha=0.5)
            middle = np.where(np.isfinite(losses).all(axis=0), finite.mean(axis=0), np.nan)
            key = "remedy" if index else "reference"
            artists[key] = axes.plot(
                result.steps,
                middle,
                dash,
                color=colour,
                marker=marker,
                label=f"{style.given_name(name, LONGEST)} (mean of {len(losses)})",
            )[0]
        if spans(np.concatenate([losses.ravel() for _, losses in arms]), LOG_RANGE):
            axes.set_yscale("log")
        log = " (log scale)" if axes.get_yscale() == "log" else ""
        half = (result.interval[1] - result.interval[0]) / 2
        label(
            axes,
            title=f"Remedy lowers the loss by {short(result.effect)} ± {short(half, 2)}"
            if result.effect > 0
            else f"Remedy raises the loss by {short(-result.effect)} ± {short(half, 2)}",
            x="steps from the checkpoint",
            y=f"loss over all data{log}",
        )
        beside = sum(len(name) for name, _ in arms) <= SIDE_BY_SIDE
        artists["legend"] = legend_below(axes, ncols=2 if beside else 1)
    return Drawn(axes, artists)
