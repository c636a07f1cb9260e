"""Along the gradient step: does the loss fall as the gradient says, and does the gradient stay?"""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from diagkit.measure.gradient_predictiveness import GradientPredictiveness
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, short, styled


@draw.register
def draw_gradient_predictiveness(result: GradientPredictiveness, ax: Axes | None = None) -> Drawn:
    """The fall of the loss against the one foretold, and the relative change of the gradient."""
    curves = (
        ("fall of the loss / foretold (1: as foretold)", result.decrease_ratios),
        ("change of the gradient / gradient (0: none)", result.relative_changes),
    )
    with styled(ax) as axes:
        artists: dict[str, Any] = {}
        for (name, values), (color, dashes, marker) in zip(curves, style.CURVES, strict=False):
            artists[name.split(" ")[0]] = axes.plot(
                result.step_sizes, values, color=color, linestyle=dashes, marker=marker, label=name
            )[0]
        artists["references"] = [axes.axhline(y, color=style.GREY, linewidth=style.THIN) for y in (0.0, 1.0)]
        if result.loss_range[1] > result.loss:
            low = min(0.0, axes.get_ylim()[0])
            axes.set_ylim(low, axes.get_ylim()[1])
            artists["rises"] = axes.axhspan(
                low, 0.0, facecolor=style.UNKNOWN_FACE, edgecolor="white", hatch=style.HATCH,
                linewidth=0, zorder=0,
                label="the loss rises",
            )  # fmt: skip
        partial = "" if result.complete else " (partial)"
        label(
            axes,
            title="How far does the gradient foretell the loss?"
            f"{partial}\neffective smoothness {short(result.smoothness)}",
            x="step size η along the gradient",
            y="ratio",
        )
        artists["legend"] = legend_below(axes)
        return Drawn(axes, artists)
