"""A sampled number: its samples, and how sure their mean is."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from diagkit.measure.trace import Estimate
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, short, styled


@draw.register
def draw_estimate(result: Estimate, ax: Axes | None = None) -> Drawn:
    """The samples in the order drawn, their mean, and the band of two standard errors around it."""
    order = np.arange(1, len(result.samples) + 1)
    sampled = not result.exact
    with styled(ax) as axes:
        text = (
            f"{short(result.value, 4)} ± {short(result.sem, 2)}" if sampled else f"{short(result.value, 6)}"
        )
        artists: dict[str, Any] = {
            "value": axes.axhline(
                result.value, color=style.BLUE, label="mean ± 2 standard errors" if sampled else "exact value"
            )
        }
        if sampled:
            artists["samples"] = axes.plot(
                order, result.samples, "o", color=style.GREY, alpha=0.7, markersize=6, label="samples"
            )[0]
            if np.isfinite(result.sem):
                edges = result.value - 2 * result.sem, result.value + 2 * result.sem
                artists["band"] = axes.axhspan(*edges, color=style.BLUE, alpha=0.25, linewidth=0)
        artists["zero"] = axes.axhline(0.0, color="black", linewidth=style.THIN)
        axes.margins(y=0.15)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if not sampled:
            axes.set_xticks([])
        notes = [] if result.complete else ["partial"]
        notes += [] if result.converged else ["tolerance not reached"]
        partial = f" ({', '.join(notes)})" if notes else ""
        name = result.quantity[:1].upper() + result.quantity[1:]
        label(
            axes,
            title=f"{name}: {text}{partial}",
            x=f"sample ({result.method})" if sampled else "nothing was sampled",
            y=result.quantity,
        )
        artists["legend"] = legend_below(axes)
        return Drawn(axes, artists)
