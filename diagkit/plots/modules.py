"""Which layers carry the curvature: a bar for each module."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from diagkit.measure.modules import ModuleCurvature
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, short, styled

MOST_BARS = 14  # modules that fit one picture


@draw.register
def draw_modules(result: ModuleCurvature, ax: Axes | None = None) -> Drawn:
    """Each module's part of the trace as a bar with two standard errors, its largest curvature beside it.

    Modules stand in the model's order, inputs on top; of more than 14 those with the largest traces are
    shown. Where the trace of the whole is not told from zero there are no shares: the bars are the traces.
    """
    known = bool(np.isfinite(result.shares).all())
    values, errors = (result.shares, result.share_sems) if known else (result.traces, result.trace_sems)
    shown = np.sort(np.argsort(-np.abs(result.traces), kind="stable")[:MOST_BARS])
    rows = np.arange(len(shown))
    colors = [style.VERMILLION if value < 0 else style.BLUE for value in values[shown]]
    with styled(ax) as axes:
        artists: dict[str, Any] = {"bars": axes.barh(rows, values[shown], color=colors, height=0.6)}
        artists["errors"] = axes.errorbar(
            values[shown],
            rows,
            xerr=2 * np.where(np.isfinite(errors[shown]), errors[shown], 0.0),
            fmt="none",
            ecolor="black",
            capsize=5,
        )
        artists["zero"] = axes.axvline(0.0, color="black", linewidth=style.THIN)
        axes.set_yticks(rows, labels=[style.given_name(result.names[i]) for i in shown])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        low, high = axes.get_xlim()
        axes.set_xlim(low, high + 0.02 * (high - low))
        artists["curvatures"] = [
            axes.text(
                1.02, float(row), _curvature(result, i), transform=axes.get_yaxis_transform(), va="center"
            )
            for row, i in zip(rows, shown, strict=True)
        ]
        artists["heading"] = axes.text(
            1.02, 1.01, "largest\ncurvature", transform=axes.transAxes, va="bottom", weight="bold"
        )
        if known:
            axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        all_of_them, whole = len(result.names), f"{short(result.trace, 2)} ± {short(result.trace_sem, 2)}"
        more = f"\n{len(shown)} of {all_of_them} modules" if len(shown) < all_of_them else ""
        more = more if known else f"{more}\ntrace of the whole: {whole}, so no shares"
        what = "share of the Hessian's trace" if known else "trace of the module's block"
        partial = " (partial)" if not result.complete else ""
        label(
            axes,
            title=f"Which layers carry the curvature?{partial}{more}",
            x=what if result.exact else f"{what}, ±2 sem",
            y="module",
        )
        return Drawn(axes, artists)


def _curvature(result: ModuleCurvature, row: int) -> str:
    value, residual = result.lambda_max[row], result.residuals[row, 0]
    if not np.isfinite(value):
        return "not measured"
    open_end = "" if result.converged[row, 0] else f" ± {short(residual, 1)}"
    return short(value) + open_end
