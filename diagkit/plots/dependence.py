"""Which outputs move when which inputs are replaced."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch

from diagkit.diagnosis.audit.dependence import Dependence
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, styled

NONE, OWN, OTHER, UNKNOWN = range(4)
FACES = ("white", style.SKY, style.VERMILLION, style.UNKNOWN_FACE)  # of different lightness
MOST_LINES = 32  # squares across, up to which each has an edge


@draw.register
def draw_dependence(result: Dependence, ax: Axes | None = None) -> Drawn:
    """A square for each output and input: filled where one depends on the other, grey where not asked."""
    one = result.over.removesuffix("s")
    n = len(result.change)
    kinds = np.where(result.depends, np.where(np.eye(n, dtype=bool), OWN, OTHER), NONE)
    kinds = np.where(np.isfinite(result.change), kinds, UNKNOWN)
    with styled(ax) as axes:
        artists: dict[str, Any] = {}
        artists["squares"] = axes.imshow(
            kinds, cmap=ListedColormap(FACES), vmin=NONE, vmax=UNKNOWN, extent=(0.5, n + 0.5, n + 0.5, 0.5)
        )
        if n <= MOST_LINES:
            edges = np.arange(n + 1) + 0.5
            look: dict[str, Any] = {"colors": style.GREY, "linewidth": 0.6}
            artists["edges"] = [
                axes.hlines(edges, 0.5, n + 0.5, **look),
                axes.vlines(edges, 0.5, n + 0.5, **look),
            ]
        every = max(1, n // 8)
        axes.set_xticks(range(1, n + 1, every))
        axes.set_yticks(range(1, n + 1, every))
        mixed = (
            f"{result.mixed} of {n * (n - 1)} pairs are mixed"
            if result.over == "examples"
            else f"{result.mixed} pairs of positions depend"
        )
        title = f"Which {one} moves which output?\n{mixed if result.mixed else f'each its own {one} only'}"
        label(axes, title=title, x=f"{one} replaced in the input", y=f"{one} of the output")
        names = {OWN: f"its own {one}", OTHER: f"another {one}", UNKNOWN: "not asked"}
        shown = [kind for kind in names if kind != UNKNOWN or (kinds == UNKNOWN).any()]
        handles: list[Any] = [
            Patch(facecolor=FACES[kind], edgecolor=style.GREY, label=names[kind]) for kind in shown
        ]
        artists["legend"] = legend_below(axes, handles, ncols=len(handles))
        return Drawn(axes, artists)
