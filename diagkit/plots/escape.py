"""The step off a saddle: what the loss did, and what the parabola said it would do."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from diagkit.measure.escape import Escape
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, note, short, styled


@draw.register
def draw_escape(result: Escape, ax: Axes | None = None) -> Drawn:
    """The loss along the most negative curvature, with the parabola's prediction dashed and clipped.

    Where nothing was tried or nothing helped, the title says so.
    """
    t, loss = result.t, np.where(np.isfinite(result.loss), result.loss, np.nan)
    reach = 1.35 * abs(result.step) if result.escaped else float(np.abs(t).max())
    reach = reach or 1.0
    dense = np.linspace(-reach, reach, 201)
    parabola = result.loss_before + _slope(result) * dense + 0.5 * result.curvature * dense**2
    words = f"parabola of curvature {short(result.curvature)}"
    if result.escaped:
        words = f"parabola: {short(result.predicted_loss, 4)} at the end"
    with styled(ax) as axes:
        artists: dict[str, Any] = {
            "loss": axes.plot(t, loss, "-o", color=style.BLUE, markersize=6, label="loss, measured")[0],
            "parabola": axes.plot(
                dense,
                parabola,
                "--",
                color=style.ORANGE,
                label=words,
            )[0],
            "start": axes.plot(
                [0.0],
                [result.loss_before],
                "*",
                color=style.BLACK,
                markersize=20,
                markeredgecolor="white",
                label=f"start: loss {short(result.loss_before, 4)}",
                zorder=5,
            )[0],
        }
        if result.escaped:
            artists["end"] = axes.plot(
                [result.step],
                [result.loss_after],
                "D",
                color=style.VERMILLION,
                markersize=11,
                markeredgecolor="white",
                label=f"end: loss {short(result.loss_after, 4)}",
                zorder=5,
            )[0]
            drop = result.loss_before - result.loss_after
            axes.set_ylim(result.loss_after - 0.45 * drop, result.loss_before + 0.25 * drop)
            title = f"Off the saddle: loss {short(result.loss_before, 4)} → {short(result.loss_after, 4)}"
        else:
            _level_view(axes, loss, result.loss_before)
            title = "No escape: no step lowered the loss"
            if len(t) == 1:
                title = "No escape tried: no negative curvature proven"
                artists["note"] = note(axes, 0.5, 0.1, "only the start was evaluated")
        axes.set_xlim(-reach, reach)
        label(axes, title=title, x="t: step along the lowest curvature", y="loss")
        axes.grid(alpha=0.3)
        artists["legend"] = legend_below(axes)
        return Drawn(axes, artists)


def _level_view(ax: Axes, loss: np.ndarray, before: float) -> None:
    """A y-range around the measured losses; some width where they are all the same."""
    low, high = np.nanmin([before, *loss]), np.nanmax([before, *loss])
    pad = 0.3 * (high - low) or 0.1 * (abs(before) or 1.0)
    ax.set_ylim(low - pad, high + pad)


def _slope(result: Escape) -> float:
    """g.v, read off the prediction: what is left after the constant and the square."""
    away = int(np.abs(result.t).argmax())
    step = float(result.t[away])
    if step == 0.0:
        return 0.0
    return float(result.predicted[away] - result.loss_before - 0.5 * result.curvature * step**2) / step
