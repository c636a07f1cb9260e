"""Sharpness against the optimizer's stability limit: at one point, and along a run."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from diagkit.measure.stability import Stability
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, note, short, spans, styled
from diagkit.training.curvature_track import CurvatureTrack

WORDS = {
    "below": "below the limit: stable",
    "above": "above the limit: unstable",
    "undecided": "not decided",
}
HERE = 0.42  # height of the sharpness on the gauge
WIDE_RANGE = 30.0  # curvatures that span more are drawn on a log scale


@draw.register
def draw_stability(result: Stability, ax: Axes | None = None) -> Drawn:
    """A gauge: curvature in units of the limit, what is unstable hatched, the sharpness with its residual."""
    ratio, error = result.ratio, result.ratio_error
    reach = 1.15 * max(1.6, ratio + error)
    left = min(0.0, 1.15 * (ratio - error))
    with styled(ax) as axes:
        artists: dict[str, Any] = {}
        artists["unstable"] = axes.axvspan(
            1.0, reach, facecolor=style.ORANGE, alpha=0.35, hatch=style.HATCH, edgecolor="white", linewidth=0
        )
        artists["limit"] = axes.axvline(1.0, color=style.BLACK, linewidth=style.LINE)
        artists["sharpness"] = axes.errorbar(
            [ratio],
            [HERE],
            xerr=[error],
            fmt="D" if result.converged else "o",
            color=style.BLUE,
            markerfacecolor=style.BLUE if result.converged else "white",
            markersize=style.MARKER + 5,
            capsize=8,
        )
        middle = (1.0 - left) / (reach - left)
        note(axes, middle / 2, 0.85, "stable", fontsize=style.TITLE)
        note(axes, (1 + middle) / 2, 0.85, "unstable", fontsize=style.TITLE)
        name = "preconditioned sharpness" if result.preconditioned else "sharpness"
        facts = f"{name} {short(result.sharpness)}\nlimit {short(result.limit)} ({result.optimizer})"
        artists["facts"] = note(axes, 0.02, 0.13, facts, ha="left")
        axes.set_xlim(left, reach)
        axes.set_ylim(0.0, 1.0)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        partial = "" if result.complete else " (partial)"
        label(
            axes,
            title=f"{short(ratio)} times the limit\n{WORDS[result.verdict]}{partial}",
            x="sharpness / stability limit",
        )
        return Drawn(axes, artists)


@draw.register
def draw_curvature_track(result: CurvatureTrack, ax: Axes | None = None) -> Drawn:
    """The largest curvatures over the steps of a run, residuals as error bars, beside the stability limit.

    Hollow markers did not converge. The axis is logarithmic where positive values span more than a factor
    of 30.
    """
    with styled(ax) as axes:
        artists: dict[str, Any] = {}
        count = len(result.steps)
        for i in range(result.values.shape[1]):
            color, dashes, marker = style.CURVES[i % len(style.CURVES)]
            name = "largest curvature" if i == 0 else f"number {i + 1}"
            artists[f"value_{i + 1}"] = axes.errorbar(
                result.steps,
                result.values[:, i],
                yerr=result.residuals[:, i],
                color=color,
                linestyle=dashes,
                marker=marker,
                markersize=7 if count <= 60 else 4,
                linewidth=2.0,
                capsize=3,
                label=name,
            )
            loose = ~result.converged[:, i]
            if loose.any():
                axes.plot(
                    result.steps[loose], result.values[loose, i], "o", markersize=4, color="white", zorder=4
                )
        if not result.converged.all():
            axes.plot(
                [], [], "o", markerfacecolor="white", color=style.GREY, label="white dot: not converged"
            )
        limits = np.where(np.isfinite(result.limits), result.limits, np.nan)
        if not np.isnan(limits).all():
            artists["limit"] = axes.plot(
                result.steps, limits, color=style.ORANGE, linewidth=4, label="stability limit"
            )[0]  # fmt: skip
        if spans(np.r_[result.values.ravel(), limits], WIDE_RANGE):
            axes.set_yscale("log")
        if not count:
            note(axes, 0.5, 0.5, "nothing was measured")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        kind = "preconditioned Hessian" if result.preconditioned else "Hessian"
        scale = ", log scale" if axes.get_yscale() == "log" else ""
        partial = "" if result.complete else " (partial)"
        label(
            axes,
            title="Sharpness along the run" + partial,
            x="optimizer steps taken",
            y=f"eigenvalue of the {kind}{scale}",
        )
        if count:
            artists["legend"] = legend_below(axes)
        return Drawn(axes, artists)
