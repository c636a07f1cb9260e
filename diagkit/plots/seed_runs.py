"""Seeds of one model: their loss curves, and the median of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from diagkit.experiments.seed_runs import SeedRuns
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, spans, styled

WIDE_RANGE = 30.0
SMOOTHED = 60  # a running mean over one part in so many of the run: minibatch losses are noisy


@draw.register
def draw_seed_runs(result: SeedRuns, ax: Axes | None = None) -> Drawn:
    """Minibatch loss of each seed as a thin line, their median as a thick one; running means in long runs."""
    width = max(1, result.loss.shape[1] // SMOOTHED)
    smooth = pd.DataFrame(result.loss.T).rolling(width, min_periods=1).mean().to_numpy()
    with styled(ax) as axes:
        artists: dict[str, Any] = {}
        artists["seeds"] = axes.plot(smooth, color=style.GREY, alpha=0.5, linewidth=style.THIN)
        for line in artists["seeds"][:1]:
            line.set_label("one seed")
        mean = f" (running means over {width} steps)" if width > 1 else ""
        running = np.isfinite(smooth).any(axis=1)
        if running.any():
            median = np.nanmedian(np.where(np.isfinite(smooth), smooth, np.nan)[running], axis=1)
            artists["median"] = axes.plot(
                np.flatnonzero(running),
                median,
                color=style.BLUE,
                linewidth=style.LINE + 0.5,
                label=f"median{mean}",
            )[0]
        if spans(smooth, WIDE_RANGE):
            axes.set_yscale("log")
        legend_below(axes)
        lost = f", {int(result.diverged.sum())} diverged" if result.diverged.any() else ""
        partial = "" if result.complete else " (partial)"
        label(
            axes,
            title=f"Loss of {len(result.seeds)} seeds{lost}{partial}",
            x="step",
            y="minibatch loss",
        )
        return Drawn(axes, artists)
