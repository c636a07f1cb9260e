"""The loss on the way between two minima: straight across, and along a trained curve."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from diagkit.measure.surface import ModeConnection
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, note, short, styled

TITLES = {
    "connected": "A low path joins the two",
    "no low path found": "No low path was found",
    "undecided": "A low path? Undecided",
}


@draw.register
def draw_mode_connection(result: ModeConnection, ax: Axes | None = None) -> Drawn:
    """Both losses against t, the level between the ends, and the highest loss on the curve."""
    with styled(ax) as axes:
        artists: dict[str, Any] = {}
        ways = (
            ("line", result.line_loss, f"straight line: rises by {short(result.line_barrier)}"),
            ("curve", result.loss, f"trained curve: rises by {short(result.barrier)}"),
        )
        for (name, loss, text), (color, dashes, marker) in zip(ways, style.CURVES[1::-1], strict=True):
            artists[name] = axes.plot(
                result.t,
                np.where(np.isfinite(loss), loss, np.nan),
                color=color,
                linestyle=dashes,
                marker=marker,
                markersize=5,
                markevery=max(1, len(result.t) // 20),
                label=text,
            )[0]
        ends = result.line_loss[[0, -1]]
        if np.isfinite(ends).all():
            artists["ends"] = axes.plot(
                [0.0, 1.0],
                ends,
                "D",
                color=style.BLACK,
                markersize=style.MARKER + 3,
                label=f"ends: loss {short(ends[0])} and {short(ends[1])}",
                zorder=5,
            )[0]
        if np.isfinite(result.max_loss):
            at = (result.max_loss_at, result.max_loss)
            artists["highest"] = axes.plot(
                *at,
                "o",
                markerfacecolor="none",
                color=style.BLACK,
                markersize=style.MARKER + 9,
                markeredgewidth=2,
                label=f"highest on the curve: {short(result.max_loss)}",
                zorder=6,
            )[0]
        if not (np.isfinite(result.loss).any() or np.isfinite(result.line_loss).any()):
            note(axes, 0.5, 0.5, "nothing was measured")
        partial = "" if result.complete else " (partial)"
        longer = result.length / result.line_length if result.line_length else 1.0
        label(
            axes,
            title=f"{TITLES[result.verdict]}{partial}\ncurve {short(longer)} times as long as the line",
            x="t: from here (0) to the other point (1)",
            y="loss",
        )
        axes.grid(alpha=0.3)
        artists["legend"] = legend_below(axes)
        return Drawn(axes, artists)
