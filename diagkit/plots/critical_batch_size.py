"""Steps to a loss against the batch size: where the gain of larger batches ends."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

from diagkit.experiments.batch_size.critical_batch_size import CriticalBatchSize
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, note, short, styled


@draw.register
def draw_critical_batch_size(result: CriticalBatchSize, ax: Axes | None = None) -> Drawn:
    """Steps of every seed, the fit between its two limits, the critical batch size and the noise scale."""
    with styled(ax) as axes:
        artists: dict[str, Any] = {}
        low, high = result.interval
        found = (
            f"{short(result.value, 2)} [{short(low, 2)}, {short(high, 2)}]"
            if result.resolved
            else "not resolved"
        )
        label(
            axes,
            title=f"Critical batch size: {found}",
            x="batch size (examples)",
            y=f"steps to a training loss of {short(result.target_loss)}",
        )
        if len(result.batch_sizes) < 2:
            note(axes, 0.5, 0.5, "too few batch sizes reached the loss")
            artists["steps"] = []
            return Drawn(axes, artists)
        sizes = np.array(result.batch_sizes, dtype=float)
        axes.set_xscale("log")
        axes.set_yscale("log")
        grid = np.geomspace(sizes[0] / 1.5, sizes[-1] * 1.5, 200)
        seeds = axes.plot(sizes, result.steps, "o", color=style.BLUE, alpha=0.5, label="one seed")
        artists["steps"] = seeds
        artists["fit"] = axes.plot(
            grid, result.fit.steps(grid), "-", color=style.BLUE, label=r"fit: $S_{min} + E_{min}/B$"
        )[0]
        handles = [seeds[0], artists["fit"]]
        if result.fit.e_min > 0:
            saving = axes.plot(
                grid, result.fit.e_min / grid, "--", color=style.GREY, label="twice the batch, half the steps"
            )[0]
            handles.append(saving)
        top, bottom = float(np.nanmax(result.steps)) * 1.6, float(np.nanmin(result.steps)) / 1.8
        if result.resolved:
            artists["critical"] = axes.axvline(
                result.value, color=style.VERMILLION, label="critical, 95 % interval"
            )
            axes.axvspan(low, high, color=style.VERMILLION, alpha=0.15, linewidth=0)
            handles.append(artists["critical"])
        noise = np.array(result.noise_range)
        if np.isfinite(result.noise_scale) and result.noise_scale > 0:
            ends = np.clip(noise, grid[0], grid[-1] * 30)
            name = "noise scale (good to a factor of 10)"
            height = bottom * (top / bottom) ** 0.06
            artists["noise"] = axes.plot(ends, [height, height], color=style.BLACK, lw=5, label=name)[0]
            axes.plot([result.noise_scale], [height], "D", color=style.BLACK)
            handles.append(artists["noise"])
        axes.set_ylim(bottom, top)
        axes.set_xlim(grid[0], grid[-1])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xticks(sizes, [f"{b}" for b in result.batch_sizes])
        artists["legend"] = legend_below(axes, handles)
        return Drawn(axes, artists)
