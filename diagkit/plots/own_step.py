"""The books of observed steps: gradient after backward, gradient at the step, and what moved."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from diagkit.diagnosis.own_step.books import OwnStep
from diagkit.diagnosis.own_step.mode_gap import ModeGap
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, note, styled

BOOKS = (
    ("after_backward", "gradient after backward"),
    ("at_step", "gradient at the step"),
    ("moved", "change of the weights"),
)


@draw.register
def draw_own_step(result: OwnStep, ax: Axes | None = None) -> Drawn:
    """Three norms at each observed update, on a logarithmic scale; exact zeros lie on the lower edge."""
    with styled(ax) as axes:
        label(axes, title="What your own step did", x="observed update", y="norm over all tensors")
        if not result.updates:
            return Drawn(
                axes, {"nothing": note(axes, 0.5, 0.5, result.error or "no update was seen", wrap=True)}
            )
        series = {name: result.of(name) for name, _ in BOOKS}
        positive = np.concatenate([values[values > 0] for values in series.values()])
        low = positive.min() / 10 if positive.size else 1e-12
        place = np.arange(1, len(result.updates) + 1)
        artists: dict[str, Any] = {}
        for (name, words), (colour, dash, marker) in zip(BOOKS, style.CURVES, strict=False):
            values = np.maximum(series[name], low)
            none = " (0)" if not series[name].any() else ""
            artists[name] = axes.plot(place, values, dash, color=colour, marker=marker, label=words + none)[0]
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        floor = low if any((values == 0).any() for values in series.values()) else 0.0
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}" if value > floor else "")
        axes.yaxis.set_minor_formatter(NullFormatter())
        if floor:
            axes.set_ylim(bottom=low / 2)
            artists["zero"] = axes.annotate(
                "exactly 0", (place.mean(), low), (0, 8), textcoords="offset points"
            )
        axes.set_xticks(place)
        artists["legend"] = legend_below(axes)
        return Drawn(axes, artists)


@draw.register
def draw_mode_gap(result: ModeGap, ax: Axes | None = None) -> Drawn:
    """Losses of the same batches in either mode, beside those that were logged: points and their means."""
    kinds = (
        ("training mode", result.training),
        ("evaluation mode", result.evaluation),
        ("logged", result.logged),
    )
    with styled(ax) as axes:
        label(axes, title="Which loss was logged?", x="where the losses come from", y="loss")
        artists: dict[str, Any] = {}
        for place, (name, values) in enumerate(kinds):
            colour, _, marker = style.CURVES[place]
            spread = place + np.linspace(-0.2, 0.2, len(values))
            artists[name] = axes.plot(spread, values, marker, color=colour, alpha=0.5)[0]
            artists[f"mean {name}"] = axes.hlines(
                values.mean(), place - 0.3, place + 0.3, color=colour, linewidth=3
            )
        axes.set_xticks(range(len(kinds)), [name for name, _ in kinds])
        return Drawn(axes, artists)
