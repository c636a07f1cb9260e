"""Escape from a start at zero: the accuracy of every run, and how many of an arm succeeded."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from diagkit.experiments.escape_task import STARTS
from diagkit.experiments.noise_escape import NoiseEscapeStudy
from diagkit.experiments.study import values_of
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, note, styled

WIDTH = 0.3  # over which the runs of an arm are spread
LOOKS = {False: (style.VERMILLION, "s", "without noise"), True: (style.BLUE, "o", "with noise")}


@draw.register
def draw_noise_escape(result: NoiseEscapeStudy, ax: Axes | None = None) -> Drawn:
    """One mark for each run at its final training accuracy; successes are above the dashed line.

    Above each arm stands its number of successes, with Wilson's 95 % interval for the rate. A cross at 0 is a
    run that diverged.
    """
    arms = [(start, noise) for start in STARTS for noise in LOOKS]
    with styled(ax) as axes:
        artists: dict[str, Any] = {}
        line = axes.axhline(
            result.task.reached,
            color=style.BLACK,
            linestyle="--",
            linewidth=style.THIN + 0.5,
            label=f"success: {result.task.reached:.0%} or more",
        )
        artists["reached"] = line
        for place, (start, noise) in enumerate(arms):
            color, marker, words = LOOKS[noise]
            found = values_of(result.sweep, "accuracy", {"start": start, "noise": noise}).dropna()
            if found.empty:
                note(axes, (place + 0.5) / len(arms), 0.5, "not run")
                continue
            at = place + np.linspace(-WIDTH, WIDTH, len(found)) if len(found) > 1 else np.array([place])
            artists[f"{start}, {words}"] = axes.plot(
                at,
                found.to_numpy(),
                marker,
                color=color,
                markersize=7,
                markeredgecolor="white",
                label=words if start == STARTS[0] else None,
            )[0]
            lost = result.diverged_runs(start, noise)
            if lost.any():
                artists[f"{start}, {words}, diverged"] = axes.plot(
                    at[lost],
                    np.zeros(lost.sum()),
                    "x",
                    color=style.BLACK,
                    markersize=9,
                    markeredgewidth=2.5,
                    label=None if any("diverged" in name for name in artists) else "diverged",
                )[0]
            rate = result.rate(start, noise)
            low, high = rate.limits()
            axes.annotate(
                f"{rate.successes} of {rate.runs}\n({100 * low:.0f}–{100 * high:.0f} %)",
                (place, 1.06),
                ha="center",
                va="bottom",
                color=color,
                fontweight="bold",
            )
        axes.set_ylim(-0.03, 1.3)
        axes.set_yticks(np.linspace(0.0, 1.0, 6), [f"{x:.0%}" for x in np.linspace(0.0, 1.0, 6)])
        axes.set_xlim(-0.6, len(arms) - 0.4)
        axes.set_xticks([0.5, 2.5], ["start at zero", "He's initialization"])
        axes.axvline(1.5, color=style.GREY, linewidth=style.THIN)
        partial = "" if result.complete else " (partial)"
        label(
            axes,
            title=f"{result.task.depth} layers: successes of each arm (95 % interval){partial}",
            x="initial weights",
            y="training accuracy at the end",
        )
        artists["legend"] = legend_below(axes, ncols=2)
        return Drawn(axes, artists)
