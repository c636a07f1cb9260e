"""Which activations have units without a slope: a bar for each, in the order of execution."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from diagkit.diagnosis.layers import UnitSlopes
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, note, short, styled

MOST_BARS = 14
MUCH = 0.5  # of a layer


@draw.register
def draw_unit_slopes(result: UnitSlopes, ax: Axes | None = None) -> Drawn:
    """Share of units next to flat for all examples, and within it those that are exactly flat (hatched)."""
    shown = np.sort(np.argsort(-result.stuck, kind="stable")[:MOST_BARS])
    rows = np.arange(len(shown))
    with styled(ax) as axes:
        artists: dict[str, Any] = {}
        artists["stuck"] = axes.barh(
            rows,
            result.stuck[shown],
            height=0.6,
            color=style.SKY,
            label="mean slope below 5 % of the steepest",
        )
        artists["shut"] = axes.barh(
            rows,
            result.shut[shown],
            height=0.6,
            color=style.VERMILLION,
            hatch=style.HATCH,
            edgecolor="white",
            label="no slope for any example (dead)",
        )
        axes.set_yticks(
            rows, labels=[f"{result.kinds[i]} behind “{style.given_name(result.names[i])}”" for i in shown]
        )
        axes.set_ylim(max(len(rows), 1) - 0.4, -0.6)
        axes.set_xlim(0.0, 1.0)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        if len(shown):
            artists["legend"] = legend_below(axes, ncols=1)
        else:
            note(axes, 0.5, 0.5, "no ReLU, sigmoid or tanh")
        label(axes, title=_headline(result), x=f"share of the units ({result.num_examples} examples)")
    return Drawn(axes, artists)


def _headline(result: UnitSlopes) -> str:
    partial = "" if result.complete else " (partial)"
    if not len(result.names):
        return f"No units with a flat side{partial}"
    worst = int(np.argmax(result.stuck))
    if result.stuck[worst] < MUCH:
        return f"The units have a slope left{partial}"
    what = "dead" if result.shut[worst] >= MUCH else "saturated"
    name = style.given_name(result.names[worst], 12)
    return f"{short(100 * result.stuck[worst])} % {what} behind “{name}”{partial}"
