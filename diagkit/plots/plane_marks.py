"""Known points on a plane: the model, other models, and the straight way with its barrier."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from diagkit.measure.surface import PlaneSlice
from diagkit.plots import plane_words, style
from diagkit.plots.style import outlined, short

STAR: dict[str, Any] = {
    "marker": "*",
    "markersize": 22,
    "markerfacecolor": style.BLACK,
    "markeredgecolor": "white",
    "markeredgewidth": 1.8,
    "linestyle": "none",
}
DIAMOND = STAR | {"marker": "D", "markersize": 12}
NEAR_BORDER = 0.3  # of the width: a name there is written towards the middle


def draw_star(ax: Axes, result: PlaneSlice) -> Any:
    """Where the model is."""
    return ax.plot([0.0], [0.0], label=plane_words.here(result), zorder=6, **STAR)[0]


def draw_marks(ax: Axes, result: PlaneSlice) -> list[Any]:
    """A diamond at each other point that is known, with its name and loss beside it."""
    drawn = []
    for mark in result.marks:
        drawn.append(ax.plot([mark.a], [mark.b], zorder=6, **DIAMOND)[0])
        _write(
            ax, result, mark.a, mark.b, plane_words.of_mark(mark), below=mark.b > np.mean(result.b[[0, -1]])
        )
    return drawn


def draw_straight_way(ax: Axes, result: PlaneSlice) -> dict[str, Any]:
    """From one point to the other, with its highest rise above the chord; nothing on other planes."""
    found = result.barrier
    if found is None:
        return {}
    way = ax.plot(
        [0.0, 1.0], [0.0, 0.0], "--", color="white", linewidth=2.2, path_effects=outlined("black", 4.0)
    )[0]
    artists: dict[str, Any] = {"straight_way": way}
    if np.isfinite(found.interval[0]) and found.interval[0] > 0:
        artists["barrier"] = ax.plot([found.at], [0.0], zorder=6, **(DIAMOND | {"marker": "^"}))[0]
        _write(ax, result, found.at, 0.0, f"barrier {short(found.height)}", below=True)
    return artists


def _write(ax: Axes, result: PlaneSlice, a: float, b: float, words: str, *, below: bool) -> None:
    """Above or below the point, and towards the middle where a border is near."""
    across = (a - result.a[0]) / np.ptp(result.a)
    ax.annotate(
        words,
        (a, b),
        xytext=(0, -13 if below else 13),
        textcoords="offset points",
        ha="left" if across < NEAR_BORDER else "right" if across > 1 - NEAR_BORDER else "center",
        va="top" if below else "bottom",
        fontsize=style.TEXT,
        weight="bold",
        path_effects=outlined(width=3.5),
        zorder=7,
        annotation_clip=True,
    )
