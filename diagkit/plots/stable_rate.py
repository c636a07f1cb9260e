"""The largest stable rate: what became of the loss at each rate that was tried."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from diagkit.experiments.stable_rate import StableRate
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, short, styled

HIGHEST = 100.0  # ratios above are drawn at the upper edge


@draw.register
def draw_stable_rate(result: StableRate, ax: Axes | None = None) -> Drawn:
    """Late loss over first loss against the rate; the limit is in the hatched gap between the two kinds."""
    with styled(ax) as axes:
        artists: dict[str, Any] = {}
        artists["start"] = axes.axhline(
            1.0, color=style.BLACK, linestyle="--", linewidth=style.THIN + 0.5, label="loss at the start"
        )
        low, high = result.interval
        if low > 0 and np.isfinite(high):
            artists["limit"] = axes.axvspan(
                low, high, facecolor=style.UNKNOWN_FACE, hatch=style.HATCH, edgecolor=style.GREY,
                label=f"limit: {short(low)} to {short(high)}",
            )  # fmt: skip
        kinds = (
            ("stable", result.stable, style.BLUE, "o", "stable"),
            ("unstable", ~result.stable, style.VERMILLION, "X", "unstable (▲: beyond the picture)"),
        )
        shown = np.clip(result.ratios, None, HIGHEST)
        for name, chosen, color, marker, words in kinds:
            over = chosen & (result.ratios > HIGHEST)
            inside = chosen & ~over
            artists[name] = axes.plot(
                result.rates[inside], shown[inside], marker, color=color, label=words, markersize=10
            )[0]
            if over.any():
                artists["beyond"] = axes.plot(
                    result.rates[over], shown[over], "^", color=color, markersize=11, clip_on=False
                )[0]
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: short(x)))
        axes.xaxis.set_minor_formatter(NullFormatter())
        positive = shown[shown > 0]
        if positive.size:
            axes.set_yscale("log")
            axes.set_ylim(min(0.5, positive.min() / 1.5), max(2.0, positive.max() * 1.1))
        partial = "" if result.complete else " (partial)"
        label(
            axes,
            title=f"Largest stable rate: {short(result.rate)}{partial}",
            x="learning rate",
            y=f"late loss / first loss, {result.steps} steps",
        )
        artists["legend"] = legend_below(axes)
        return Drawn(axes, artists)
