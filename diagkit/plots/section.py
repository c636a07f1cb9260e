"""The loss along a straight line through a plane, on training and on validation data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from diagkit.measure.surface.reading import Reading, Section
from diagkit.measure.surface.scale import Scale
from diagkit.plots import style
from diagkit.plots.drawing import Drawn
from diagkit.plots.plane_marks import STAR
from diagkit.plots.style import label, legend_below, short, styled

READ: dict[str, Any] = {
    "marker": "o",
    "markersize": 15,
    "markerfacecolor": "none",
    "markeredgecolor": style.VERMILLION,
    "markeredgewidth": 3.5,
    "linestyle": "none",
}


def draw_section(
    sections: Mapping[str, Section],
    ax: Axes | None = None,
    *,
    reading: Reading | None = None,
    target: float | None = None,
) -> Drawn:
    """A curve for each section, by name; the star is the model, the ring the loss computed at another place.
    ``target`` : a dotted line at this loss.

    The loss is on a logarithmic scale where it spans more than 30x.
    """
    with styled(ax) as axes:
        artists: dict[str, Any] = {}
        for number, (name, cut) in enumerate(sections.items()):
            color, dashes, _ = style.CURVES[number]
            known = np.where(np.isfinite(cut.loss), cut.loss, np.nan)
            artists[name] = axes.plot(cut.s, known, color=color, linestyle=dashes, label=name)[0]
        scale = Scale.of(np.concatenate([cut.loss for cut in sections.values()]))
        if scale.name == "log":
            axes.set_yscale("log", nonpositive="mask")
        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.axvline(0.0, color=style.GREY, linewidth=style.THIN, zorder=0)
        if target is not None:
            artists["target"] = axes.axhline(
                target, color=style.BLACK, linestyle=":", label=f"target {short(target)}"
            )
        if reading is not None:
            if np.isfinite(reading.here):
                artists["here"] = axes.plot([0.0], [reading.here], zorder=6, **STAR)[0]
            s = float(np.hypot(reading.a, reading.b))
            if s and np.isfinite(reading.computed):
                name = f"computed {short(reading.computed)}"
                artists["read"] = axes.plot([s], [reading.computed], zorder=7, label=name, **READ)[0]
        axes.grid(alpha=0.3)
        first = next(iter(sections.values()))
        along = "along a" if first.direction == (1.0, 0.0) else "through ★ and ○"
        axes.tick_params(labelsize=style.TEXT)
        axes.set_xlim(first.s[0], first.s[-1])
        label(axes, title=f"Cut {along}", x="s: distance from ★")
        label(axes, y="loss (log scale)" if scale.name == "log" else "loss")
        artists["legend"] = legend_below(axes, ncols=1)
        return Drawn(axes, artists)
