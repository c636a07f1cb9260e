"""The annealing of gradient noise over the steps of a run."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, short, styled
from diagkit.training.annealing import NoiseAnnealing


@draw.register
def draw_noise_annealing(
    result: NoiseAnnealing, ax: Axes | None = None, *, span: tuple[float, float] | None = None
) -> Drawn:
    """sigma_t over the steps, and the step at which half of the noise is left.

    Parameters
    ----------
    span : lowest and highest level on a logarithmic axis, so that pictures of several c can be compared; None
        for a linear axis that fits.
    """
    with styled(ax) as axes:
        artists: dict[str, Any] = {}
        marker = "o" if len(result.sigma) == 1 else ""
        artists["sigma"] = axes.plot(result.step, result.sigma, color=style.BLUE, marker=marker)[0]
        artists["noise"] = axes.fill_between(
            result.step, result.sigma, color=style.BLUE, alpha=0.15, linewidth=0
        )
        top = result.c if result.c > 0 else 1.0
        if span is None:
            axes.set_ylim(0.0, 1.08 * top)
        else:
            axes.set_yscale("log")
            axes.set_ylim(*span)
            axes.yaxis.set_major_formatter("{x:g}")
            axes.minorticks_off()
            axes.grid(alpha=0.3)
        if np.isfinite(result.halved_at) and result.halved_at <= result.step[-1] and result.c > 0:
            half = result.c / 2
            artists["half"] = axes.plot([result.halved_at], [half], "D", color=style.VERMILLION)[0]
            artists["text"] = axes.annotate(
                f"half is left after {short(result.halved_at)} steps",
                (result.halved_at, half),
                xytext=(14, 14),
                textcoords="offset points",
                path_effects=style.outlined(),
            )
        label(
            axes,
            title=f"Annealed gradient noise: σ = {short(result.c)} / (1 + t)^{short(result.r)}",
            x="step t",
            y="σ added to each gradient entry\n(loss / parameter)",
        )
        return Drawn(axes, artists)
