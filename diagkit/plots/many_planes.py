"""Many random planes side by side, with one scale of colours."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm

from diagkit.measure.surface import PlaneSlice, RandomPlanes
from diagkit.measure.surface.scale import Scale
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.levels import linear_levels, log_levels
from diagkit.plots.style import label, short, styled

MOST_COLUMNS = 5
SIZE = (12.0, 6.6)  # inches, of a figure made here
HEAD = 0.2  # of a tile's height, for its title
MOST_TICKS = 9


@draw.register
def draw_random_planes(result: RandomPlanes, ax: Axes | None = None) -> Drawn:
    """A tile for each plane, a star where the model is; above it whether the plane looks convex.

    The colours mean the same loss in every tile. They are logarithmic where the loss spans more than 30x.
    """
    with styled(ax) as axes:
        if ax is None:
            axes.figure.set_size_inches(*SIZE)  # type: ignore[union-attr]
        bands, logarithmic = _levels(result)
        norm = BoundaryNorm(bands, 256, extend="neither")
        tiles = [
            _tile(axes.inset_axes(place), plane, bool(convex), float(bump), bands, norm)
            for place, plane, convex, bump in zip(
                _places(len(result.planes)), result.planes, result.looks_convex, result.bumps, strict=True
            )
        ]
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(False)
        bar = axes.figure.colorbar(ScalarMappable(norm, style.SURFACE), ax=axes, pad=0.02)
        bar.set_label("loss (log scale)" if logarithmic else "loss", fontsize=style.LOOK["axes.labelsize"])
        every = 1 + len(bands) // MOST_TICKS
        bar.set_ticks(list(bands[::every]), labels=style.tick_names(bands[::every]))
        bar.ax.tick_params(labelsize=style.TEXT)
        bar.minorticks_off()
        reach = f"{short(result.planes[0].a[0])} to {short(result.planes[0].a[-1])}"
        label(axes, title=_title(result), x=f"a: a random direction of its own in each tile, {reach}")
        label(axes, y=f"b: another, {reach}")
        return Drawn(axes, {"tiles": tiles, "colorbar": bar})


def _places(count: int) -> list[tuple[float, float, float, float]]:
    """(left, bottom, width, height) of each tile, in fractions of the axes, row by row from above."""
    columns = min(MOST_COLUMNS, count)
    rows = math.ceil(count / columns)
    width, height = 1 / columns, 1 / rows
    return [
        (
            (k % columns + 0.04) * width,
            1 - (k // columns + 1 - 0.04) * height,
            0.92 * width,
            (0.96 - HEAD) * height,
        )
        for k in range(count)
    ]


def _levels(result: RandomPlanes) -> tuple[np.ndarray, bool]:
    """Bands of loss for all tiles, and whether they are logarithmic."""
    loss = np.concatenate([plane.loss.ravel() for plane in result.planes])
    loss = loss[np.isfinite(loss)]
    if not loss.size:
        return np.array([0.0, 1.0]), False
    scale = Scale.of(loss)
    if scale.floor is None:
        return linear_levels(scale.low, scale.high, 20), False
    return log_levels(scale.floor, scale.high, 20), True


def _tile(
    tile: Axes, plane: PlaneSlice, convex: bool, bump: float, bands: np.ndarray, norm: BoundaryNorm
) -> Axes:
    tile.set_facecolor(style.UNKNOWN_FACE)
    loss = np.ma.masked_invalid(np.maximum(plane.loss.T, bands[0]))
    if np.isfinite(plane.loss).any():
        tile.contourf(plane.a, plane.b, loss, levels=bands, cmap=style.SURFACE, norm=norm)
        if len(bands) > 2:
            tile.contour(
                plane.a, plane.b, loss, levels=bands[1:-1], colors="black", linewidths=0.6, alpha=0.5
            )
    tile.plot(0.0, 0.0, "*", markersize=15, color=style.BLACK, markeredgecolor="white")
    tile.set(xticks=[], yticks=[], xlim=plane.a[[0, -1]], ylim=plane.b[[0, -1]])
    word = "convex" if convex else f"bump {100 * bump:.0f} %" if np.isfinite(bump) else "not finite"
    tile.set_title(word, fontsize=style.TEXT, weight="normal" if convex else "bold", pad=4)
    for spine in tile.spines.values():  # colour is not the only cue: the width and the title say it too
        spine.set(
            visible=True, color=style.GREY if convex else style.VERMILLION, linewidth=1 if convex else 4
        )
    return tile


def _title(result: RandomPlanes) -> str:
    seen, count = int(result.looks_convex.sum()), len(result.planes)
    value = short(float(result.lowest.values[0]), 2)
    truth = (
        f"but the Hessian has negative curvature ({value})"
        if result.negative_curvature
        else f"no negative curvature was proven (lowest found {value})"
    )
    partial = "" if result.complete else " (partial)"
    return f"{seen} of {count} random planes look convex{partial}\n{truth}"
