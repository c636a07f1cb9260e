"""The loss over a plane from above: height lines, where we are, what is unknown, and the way out."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from diagkit.measure.escape import Escape
from diagkit.measure.surface import PlaneSlice
from diagkit.measure.surface.scale import Scale
from diagkit.objective import check_count
from diagkit.plots import plane_words, style
from diagkit.plots.caption import legend_with_caption
from diagkit.plots.drawing import Drawn
from diagkit.plots.levels import Bands
from diagkit.plots.plane_axes import axis_names, true_aspect
from diagkit.plots.plane_marks import draw_marks, draw_star, draw_straight_way
from diagkit.plots.plane_paths import draw_path, escape_path, named_paths
from diagkit.plots.style import label, outlined, styled

SIZE = (7.0, 6.2)  # inches, of a figure made here for a picture in true shape
SAME_LOSS: dict[str, Any] = {"linewidth": 2.2, "linestyle": "--"}
BAR = (1.03, 0.0, 0.05, 1.0)  # place of the colour bar, in fractions of the axes
BAR_NAME = 56  # points from the bar to its name: room for the longest numbers, so that nothing moves


def draw_contours(
    result: PlaneSlice,
    ax: Axes | None = None,
    *,
    path: Any = None,
    path_label: str = "path",
    escape: Escape | None = None,
    cells: bool = False,
    levels: int = 16,
    colorbar: bool = True,
    scale: Scale | None = None,
) -> Drawn:
    """See :func:`diagkit.plots.draw_plane`."""
    check_count("levels", levels, least=2, write="16")
    ways = named_paths(path, path_label)
    way_out = None if escape is None else escape_path(result, escape)
    with styled(ax) as axes:
        aspect = true_aspect(result)
        if ax is None and aspect:
            axes.figure.set_size_inches(*SIZE)  # type: ignore[union-attr]
        axes.set_aspect(aspect or "auto", anchor="N")  # where there is room to spare, the upper border stays
        artists = _fill(result, axes, Bands.of(scale or result.scale, int(levels)), colorbar)
        if cells:
            artists["cells"] = _cells(result, axes)
        artists |= draw_straight_way(axes, result)
        artists["paths"] = [
            draw_path(axes, result, way, name, number) for number, (name, way) in enumerate(ways.items())
        ]
        if way_out is not None:
            artists["escape"] = draw_path(axes, result, way_out.ends, way_out.name, len(ways))
        artists["here"] = draw_star(axes, result)
        artists["marks"] = draw_marks(axes, result)
        axes.set_xlim(float(result.a[0]), float(result.a[-1]))
        axes.set_ylim(float(result.b[0]), float(result.b[-1]))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        x, y = axis_names(result)
        label(axes, title=plane_words.title(result), x=x, y=y)
        handles = [h for h in axes.get_legend_handles_labels()[0] if h is not artists.get("unknown")]
        handles += [artists["unknown"]] if "unknown" in artists else []
        artists["legend"] = legend_with_caption(
            axes, plane_words.how_sure(result, " (dots)" if cells else ""), handles
        )
        return Drawn(axes, artists)


def _fill(result: PlaneSlice, ax: Axes, bands: Bands, colorbar: bool) -> dict[str, Any]:
    """Bands of colour, height lines, the level of the centre, hatching where there is no number."""
    artists: dict[str, Any] = {}
    known = np.isfinite(result.loss.T)  # rows are b, columns are a, as matplotlib has it
    if not known.all():
        artists["unknown"] = _hatch(result, ax)
    if not known.any():
        artists["empty"] = style.note(ax, 0.5, 0.75, "no finite loss on this plane", fontsize=style.TITLE)
        return artists
    loss, levels = bands.clipped(result.loss.T), bands.levels
    whole = known[:-1, :-1] & known[1:, :-1] & known[:-1, 1:] & known[1:, 1:]
    if whole.any():
        artists["bands"] = ax.contourf(
            result.a, result.b, loss, levels=levels, cmap=style.SURFACE, norm=bands.norm
        )
        if len(levels) > 2:
            artists["lines"] = ax.contour(
                result.a, result.b, loss, levels=levels[1:-1], colors="black", linewidths=0.6, alpha=0.5
            )
        _level_of_centre(result, ax, loss, artists)
    else:  # too few cells for height lines: show the cells themselves
        j, i = np.nonzero(known)
        colours = BoundaryNorm(levels, 256) if len(levels) > 2 else bands.norm
        artists["bands"] = ax.scatter(
            result.a[i], result.b[j], c=loss[j, i], s=80, marker="s", cmap=style.SURFACE, norm=colours
        )
    if colorbar:
        artists["colorbar"] = _colorbar(ax, artists["bands"], bands)
    return artists


def _level_of_centre(result: PlaneSlice, ax: Axes, loss: Any, artists: dict[str, Any]) -> None:
    """Where the loss is the same as here: two crossing lines at a saddle; nothing at a minimum."""
    here, margin = plane_words.loss_here(result), 1e-3 * float(loss.max() - loss.min())
    if not (np.isfinite(here) and loss.min() + margin < here < loss.max() - margin):
        return
    lines = ax.contour(
        result.a, result.b, loss, levels=[here], colors="white", linewidths=2.2, linestyles="--"
    )
    lines.set_path_effects(outlined("black", 4.0))
    ax.plot(
        [], [], color="white", path_effects=outlined("black", 4.0), label="same loss as here", **SAME_LOSS
    )
    artists["same_loss"] = lines


def _hatch(result: PlaneSlice, ax: Axes) -> Rectangle:
    """A hatched ground that shows wherever no colour covers it."""
    ground = Rectangle(
        (float(result.a[0]), float(result.b[0])),
        float(np.ptp(result.a)),
        float(np.ptp(result.b)),
        facecolor=style.UNKNOWN_FACE,
        edgecolor=style.GREY,
        hatch=style.HATCH,
        linewidth=0,
        zorder=0,
    )
    ax.add_patch(ground)
    ground.set_label(plane_words.missing(result))
    return ground


def _cells(result: PlaneSlice, ax: Axes) -> Any:
    i, j = np.nonzero(result.evaluated)
    look: dict[str, Any] = {"s": 8, "color": "black", "edgecolors": "white", "linewidths": 0.4}
    return ax.scatter(result.a[i], result.b[j], **look)


def _colorbar(ax: Axes, filled: Any, bands: Bands) -> Any:
    """Inside the axes, so that it is as high as the picture and goes when the axes are cleared."""
    bar = ax.figure.colorbar(filled, cax=ax.inset_axes(BAR))
    bar.set_ticks(list(ticks := bands.ticks()), labels=style.tick_names(ticks))
    bar.ax.tick_params(labelsize=style.TEXT)
    bar.minorticks_off()
    bar.set_label(bands.name, fontsize=style.LOOK["axes.labelsize"])
    beside = bar.ax.transAxes + ScaledTranslation(BAR_NAME / 72, 0.0, ax.figure.dpi_scale_trans)
    bar.ax.yaxis.set_label_coords(1.0, 0.5, beside)
    return bar
