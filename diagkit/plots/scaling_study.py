"""Scaling of inputs: steps to a given loss for each kind, at each rule for the rate."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from diagkit.experiments.intervals import student_interval
from diagkit.experiments.scaling_study import FeatureScalingStudy
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.scaled_inputs import rough
from diagkit.plots.style import label, legend_below, short, styled

SHIFT = 0.2  # between the rules
WORDS = {"fixed": "one fixed rate", "1/lambda_max": r"rate $1/\lambda_{max}$", "Adam": "Adam"}


@draw.register
def draw_feature_scaling_study(result: FeatureScalingStudy, ax: Axes | None = None) -> Drawn:
    """Geometric means with 95 % intervals over seeds; small marks are single seeds.

    A hollow triangle at the upper edge: not all runs got there within the steps allowed. Under each kind
    stands the condition number of its inputs.
    """
    frame = result.frame
    frame = frame[frame["status"] == "done"]
    kinds, rates = list(frame["kind"].unique()), list(frame["rate"].unique())
    with styled(ax) as axes:
        artists: dict[str, Any] = {}
        for i, rate in enumerate(rates):
            color, _, marker = style.CURVES[i]
            for place, kind in enumerate(kinds):
                runs = frame[(frame["rate"] == rate) & (frame["kind"] == kind)]
                steps = np.maximum(runs["steps"].to_numpy(float), 1.0)
                at = place + SHIFT * (i - (len(rates) - 1) / 2)
                if not len(steps):
                    continue
                if not runs["reached"].all():
                    artists[f"{rate}, {kind}"] = axes.plot(
                        at, result.max_steps, "^", markersize=13, color=color, markerfacecolor="white",
                        markeredgewidth=2.5,
                    )[0]  # fmt: skip
                    continue
                axes.plot(np.full(len(steps), at), steps, ".", color=color, alpha=0.4, markersize=6)
                logs = np.log10(steps)
                low, high = student_interval(logs) if len(logs) > 1 else (logs[0], logs[0])
                middle = 10 ** logs.mean()
                artists[f"{rate}, {kind}"] = axes.errorbar(
                    [at], [middle], yerr=[[middle - 10**low], [10**high - middle]], fmt=marker, color=color,
                    markersize=11, capsize=7, capthick=style.LINE, zorder=3,
                )  # fmt: skip
        axes.set_yscale("log")
        axes.axhline(result.max_steps, color=style.GREY, linewidth=style.THIN, linestyle="--")
        condition = frame.groupby("kind")["condition_with_bias"].median()
        names = [f"{kind.replace('-', '-' + chr(8203))}\nκ {rough(condition[kind])}" for kind in kinds]
        axes.set_xticks(range(len(kinds)), names)
        axes.set_xlim(-0.6, len(kinds) - 0.4)
        handles = [
            Line2D(
                [], [], color=style.CURVES[i][0], marker=style.CURVES[i][2], linestyle="", label=WORDS[rate]
            )
            for i, rate in enumerate(rates)
        ]
        never = f"not reached in {result.max_steps} steps"
        handles.append(Line2D([], [], color=style.GREY, marker="^", linestyle="", markerfacecolor="white",
                              markersize=12, label=never))  # fmt: skip
        partial = "" if result.complete else " (partial)"
        label(
            axes,
            title=f"Steps to a training loss of {short(result.target)}{partial}",
            x="scaling of the inputs, and their condition number κ",
            y="steps",
        )
        artists["legend"] = legend_below(axes, handles, tick_lines=2)
        return Drawn(axes, artists)
