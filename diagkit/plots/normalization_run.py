"""A short run with one kind of normalization and without: losses, and curvature on the way."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from diagkit.experiments.normalization.short_run import PLAIN, NormalizationRun
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, short, styled

WINDOW = 5  # steps of the running mean
HIGH = 3.0  # first losses: above, a curve has left the picture


@draw.register
def draw_normalization_run(result: NormalizationRun, ax: Axes | None = None) -> Drawn:
    """Minibatch losses, as running means of five, with this kind and without."""
    with styled(ax) as axes:
        artists: dict[str, Any] = {}
        first = max([float(run.losses[0]) for run in result.runs.values()] or [1.0])
        for kind, look in _looks(result):
            run = result.runs.get(kind)
            losses = np.array([]) if run is None else run.losses
            with np.errstate(invalid="ignore"):
                inside = losses <= HIGH * first
            shown = _running_mean(np.where(inside, losses, np.nan))
            color, dashes, marker = look
            artists[kind] = axes.plot(
                shown, dashes, color=color, marker=marker, markevery=max(1, len(shown) // 8), label=name(kind)
            )[0]
            if not inside.all():
                left = int(np.argmin(inside))
                artists[f"{kind} out"] = axes.plot(left, HIGH * first, "^", color=color, markersize=14)[0]
        axes.set_xlim(0, result.task.steps)
        highest = HIGH if any("out" in found for found in artists) else axes.get_ylim()[1] / first
        axes.set_ylim(0, 1.1 * first * highest)
        axes.grid(alpha=0.3)
        label(axes, title=f"SGD, η = {result.task.rate:g}", y="training loss", x="step")
        return Drawn(axes, artists)


def draw_curvature_on_the_way(result: NormalizationRun, ax: Axes | None = None) -> Drawn:
    """Largest eigenvalue of the Hessian along both runs, under batch statistics, and the limit 2 / rate."""
    with styled(ax) as axes:
        artists: dict[str, Any] = {}
        looks, limit = result.task.looks, 2 / result.task.rate
        for kind, (color, dashes, marker) in _looks(result):
            run = result.runs.get(kind)
            tops = np.array([]) if run is None else run.lambda_max
            known = np.isfinite(tops) & (tops > 0)
            artists[kind] = axes.plot(
                looks[: len(tops)][known], tops[known], dashes, color=color, marker=marker, label=name(kind)
            )[0]
        artists["limit"] = axes.axhline(limit, color=style.BLACK, linewidth=2.0, linestyle=":", label="2/η")
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.set_ylim(min(low / 2, limit / 30), max(2 * high, limit * 4))
        axes.set_xlim(-0.03 * result.task.steps, 1.03 * result.task.steps)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        label(axes, x="step", y=r"$\lambda_{max}$")
        return Drawn(axes, artists)


def _running_mean(values: np.ndarray) -> np.ndarray:
    """Mean of the last five values at each place; NaN where one of them is.

    Example
    -------
    >>> _running_mean(np.array([1.0, 3.0])).tolist()
    [1.0, 2.0]
    """
    return np.array([values[max(0, i - WINDOW + 1) : i + 1].mean() for i in range(len(values))])


def name(kind: str) -> str:
    """What a curve is called."""
    return "without" if kind == PLAIN else f"“{kind}”"


def _looks(result: NormalizationRun) -> list[tuple[str, Any]]:
    kind = result.task.kind
    plain = [(PLAIN, style.CURVES[1])]
    return plain if kind == PLAIN else [(kind, style.CURVES[0]), *plain]
