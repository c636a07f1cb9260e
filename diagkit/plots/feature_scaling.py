"""What a scaling does to the distribution of each feature: before on the left, after on the right."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, styled
from diagkit.training.feature_scaling import Scaling

MOST_FEATURES = 10  # rows that fit one picture


@draw.register
def draw_scaling(result: Scaling, ax: Axes | None = None) -> Drawn:
    """Each feature's 5 to 95 % (line), middle half (bar) and median (dot), before and after, side by side.

    Of more than ten features those that spread most before are shown.
    """
    spread = result.quantiles_before[-1] - result.quantiles_before[0]
    shown = np.sort(np.argsort(-spread, kind="stable")[:MOST_FEATURES])
    with styled(ax) as axes:
        artists: dict[str, Any] = {}
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.spines["bottom"].set_visible(False)
        sides = (
            ("before", result.quantiles_before, result.condition_before, style.VERMILLION, 0.0),
            ("after", result.quantiles_after, result.condition_after, style.BLUE, 0.53),
        )
        for side, quantiles, condition, color, left in sides:
            inset = axes.inset_axes((left, 0.06, 0.47, 0.84))
            artists[side] = _rows(inset, quantiles[:, shown], color)
            inset.set_title(f"{side}: κ = {_condition(condition)}", fontsize=style.TEXT)
            inset.set_yticks(np.arange(len(shown)), labels=[str(i) for i in shown] if not left else [])
            artists[f"{side} axes"] = inset
        artists["before axes"].set_ylabel("feature", fontsize=style.TEXT)
        some = f"\n{len(shown)} of {len(spread)} features" if len(shown) < len(spread) else ""
        label(
            axes,
            title=f"Feature scaling “{result.kind}”: condition number κ of XᵀX/n{some}",
            x="\nvalue: 5 to 95 %, middle half, median",
        )
        return Drawn(axes, artists)


def _rows(ax: Axes, quantiles: np.ndarray, color: str) -> dict[str, Any]:
    rows = np.arange(quantiles.shape[1])
    lowest, lower, median, upper, highest = quantiles
    ax.axvline(0.0, color=style.GREY, linewidth=style.THIN)
    drawn = {
        "range": ax.hlines(rows, lowest, highest, color=color, linewidth=2),
        "half": ax.barh(rows, upper - lower, left=lower, height=0.5, color=color, alpha=0.5),
        "median": ax.plot(median, rows, "o", color="black", markersize=6)[0],
    }
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}".replace("-", "−")))
    return drawn


def _condition(value: float) -> str:
    return "∞" if np.isinf(value) else "-" if np.isnan(value) else f"{float(f'{value:.3g}'):,.12g}"
