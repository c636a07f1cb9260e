"""The barrier on the straight way between two points: from the chord up to the loss."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from diagkit.measure.surface import LineSlice
from diagkit.plots import style
from diagkit.plots.style import outlined, short


def barrier_words(result: LineSlice) -> str:
    """The verdict with its interval."""
    low, high = result.barrier_interval
    if result.verdict == "barrier":
        end = f"{short(low)} to {short(high)}" if np.isfinite(high) else f"at least {short(low)}"
        return f"barrier {short(result.barrier)} ({end})"
    if result.verdict == "no barrier seen":
        return f"no barrier seen (at most {short(high, 2)})"
    return "barrier undecided"


def draw_barrier(ax: Axes, result: LineSlice) -> dict[str, Any]:
    """The other point, the chord between both, and a double arrow as high as the barrier."""
    other = np.flatnonzero(result.t == 1.0)
    if not result.verdict or not other.size or not np.isfinite(ends := result.loss[[0, other[0]]]).all():
        return {}
    t = np.linspace(0.0, 1.0, 51)
    artists: dict[str, Any] = {
        "chord": ax.plot(t, (1 - t) * ends[0] + t * ends[1], "--", color=style.GREY, label="chord")[0],
        "other": ax.plot(
            [1.0],
            [ends[1]],
            "D",
            color=style.BLACK,
            markersize=13,
            markeredgecolor="white",
            linestyle="none",
            label=f"other point: loss {short(ends[1])}",
            zorder=5,
        )[0],
    }
    if result.verdict != "barrier":
        return artists
    at = result.barrier_at
    foot = float((1 - at) * ends[0] + at * ends[1])
    artists["barrier"] = ax.annotate(
        "",
        (at, foot),
        xytext=(at, foot + result.barrier),
        arrowprops={
            "arrowstyle": "<|-|>",
            "color": style.BLACK,
            "linewidth": style.LINE,
            "mutation_scale": 22,
            "shrinkA": 0,
            "shrinkB": 0,
        },
        zorder=4,
    )
    ax.annotate(
        f"barrier\n{short(result.barrier)}",
        (at, foot + result.barrier / 2),
        xytext=(10, 0),
        textcoords="offset points",
        va="center",
        fontsize=style.TITLE,
        weight="bold",
        path_effects=outlined(),
    )
    return artists
