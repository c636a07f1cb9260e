"""The loss over a plane: height lines, where we are, what is unknown, and the way out."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, LogNorm, Normalize
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from diagkit.errors import InputError
from diagkit.measure.escape import Escape
from diagkit.measure.surface import PlaneSlice
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.levels import linear_levels, log_levels
from diagkit.plots.plane_paths import draw_path, escape_path
from diagkit.plots.style import label, legend_below, outlined, short, styled

LOG_FROM = 30.0  # the largest loss over the smallest, above which the levels are logarithmic
MOST_TICKS = 11  # on the colour bar
LOG_DEPTH = 1e-12  # smaller shares of the largest loss are drawn as this one


@draw.register
def draw_plane(
    result: PlaneSlice,
    ax: Axes | None = None,
    *,
    path: Any = None,
    path_label: str = "path",
    escape: Escape | None = None,
    cells: bool = False,
    levels: int = 16,
    colorbar: bool = True,
) -> Drawn:
    """The loss over the plane (a, b), with a star where the model is.

    The dashed line joins the places with the loss of the star: on its one side the loss is lower. Cells
    without a finite loss are hatched. Levels are logarithmic where the loss spans more than 30x.

    Parameters
    ----------
    path : [n, 2], coordinates (a, b), drawn with arrows and named ``path_label``.
    escape : drawn as an arrow from the star; its direction has to lie in the plane.
    cells : show with dots which cells were computed; the others are interpolated.
    levels : about so many bands of colour.

    Raises
    ------
    InputError : a path of another shape or not finite, an escape that leaves the plane, levels below 2.
    """
    if isinstance(levels, bool) or not isinstance(levels, (int, np.integer)) or levels < 2:
        raise InputError(f"levels = {levels!r}", allowed="an integer of 2 or more", write="levels=16")
    way_out = None if escape is None else escape_path(result, escape)
    with styled(ax) as axes:
        artists = _fill(result, axes, int(levels), colorbar)
        if cells:
            i, j = np.nonzero(result.evaluated)
            artists["cells"] = axes.scatter(
                result.a[i],
                result.b[j],
                s=8,
                color="black",
                edgecolors="white",
                linewidths=0.4,
                label="computed",
            )
        if path is not None:
            artists["path"] = draw_path(axes, path, path_label, style.VERMILLION)
        if way_out is not None:
            artists["escape"] = draw_path(axes, way_out.ends, way_out.name, style.VERMILLION)
        artists["here"] = axes.plot(
            [0.0],
            [0.0],
            marker="*",
            markersize=22,
            markerfacecolor=style.BLACK,
            markeredgecolor="white",
            markeredgewidth=1.8,
            linestyle="none",
            label=_here_label(result),
            zorder=6,
        )[0]
        axes.set_xlim(float(result.a[0]), float(result.a[-1]))
        axes.set_ylim(float(result.b[0]), float(result.b[-1]))
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
        x, y = _axis_names(result.kind)
        partial = "" if result.complete else " (partial)"
        label(axes, title=f"Loss around the model{partial}", x=x, y=y)
        handles = [h for h in axes.get_legend_handles_labels()[0] if h is not artists.get("unknown")]
        artists["legend"] = legend_below(
            axes, [*handles, *([artists["unknown"]] if "unknown" in artists else [])]
        )
        return Drawn(axes, artists)


def _fill(result: PlaneSlice, ax: Axes, count: int, colorbar: bool) -> dict[str, Any]:
    """Bands of colour, height lines, the level of the centre, hatching where there is no number."""
    artists: dict[str, Any] = {}
    loss = np.ma.masked_invalid(result.loss.T)  # rows are b, columns are a, as matplotlib has it
    known = ~np.ma.getmaskarray(loss)
    if not known.all():
        artists["unknown"] = _hatch(result, ax, known.T)
    if not known.any():
        artists["empty"] = style.note(ax, 0.5, 0.75, "no finite loss on this plane", fontsize=style.TITLE)
        return artists
    logarithmic = style.spans(result.loss, LOG_FROM)
    if logarithmic:
        positive = result.loss[np.isfinite(result.loss) & (result.loss > 0)]
        floor = max(float(positive.min()), LOG_DEPTH * float(positive.max()))
        loss = np.ma.maximum(loss, floor)
    low, high = float(loss.min()), float(loss.max())
    bands = (log_levels if logarithmic else linear_levels)(low, high, count)
    norm: Normalize = LogNorm(bands[0], bands[-1]) if logarithmic else Normalize(bands[0], bands[-1])
    whole = known[:-1, :-1] & known[1:, :-1] & known[:-1, 1:] & known[1:, 1:]
    if whole.any():
        artists["bands"] = ax.contourf(result.a, result.b, loss, levels=bands, cmap=style.SURFACE, norm=norm)
        if len(bands) > 2:
            artists["lines"] = ax.contour(
                result.a, result.b, loss, levels=bands[1:-1], colors="black", linewidths=0.6, alpha=0.5
            )
        _level_of_centre(result, ax, loss, high - low, artists)
    else:  # too few cells for height lines: show the cells themselves
        j, i = np.nonzero(known)
        colours = BoundaryNorm(bands, 256) if len(bands) > 2 else norm
        artists["bands"] = ax.scatter(
            result.a[i], result.b[j], c=loss[j, i], s=80, marker="s", cmap=style.SURFACE, norm=colours
        )
    if colorbar:
        artists["colorbar"] = _colorbar(ax, artists["bands"], bands, logarithmic)
    return artists


def _centre(result: PlaneSlice) -> float:
    return float(result.loss[np.abs(result.a).argmin(), np.abs(result.b).argmin()])


def _level_of_centre(result: PlaneSlice, ax: Axes, loss: Any, spread: float, artists: dict[str, Any]) -> None:
    """Where the loss is the same as here: two crossing lines at a saddle; nothing at a minimum."""
    here, margin = _centre(result), 1e-3 * spread
    if not (np.isfinite(here) and loss.min() + margin < here < loss.max() - margin):
        return
    lines = ax.contour(
        result.a, result.b, loss, levels=[here], colors="white", linewidths=2.2, linestyles="--"
    )
    lines.set_path_effects(outlined("black", 4.0))
    ax.plot(
        [],
        [],
        color="white",
        linestyle="--",
        linewidth=2.2,
        path_effects=outlined("black", 4.0),
        label="same loss as here",
    )
    artists["same_loss"] = lines


def _hatch(result: PlaneSlice, ax: Axes, known: np.ndarray) -> Rectangle:
    """A hatched ground that shows wherever no colour covers it."""
    missing = ~known & ~result.evaluated if not result.complete else np.zeros_like(known)
    failed = int((~known & ~missing).sum())
    parts = [f"loss not finite ({failed} cells)"] if failed else []
    parts += [f"not computed ({int(missing.sum())} cells)"] if missing.any() else []
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
    ground.set_label(", ".join(parts))
    return ground


def _colorbar(ax: Axes, filled: Any, bands: np.ndarray, logarithmic: bool) -> Any:
    bar = ax.figure.colorbar(filled, ax=ax, pad=0.02)
    bar.set_label("loss (log scale)" if logarithmic else "loss", fontsize=style.LOOK["axes.labelsize"])
    bar.set_ticks(list(ticks := _round_ones(bands)), labels=style.tick_names(ticks))
    bar.ax.tick_params(labelsize=style.TEXT)
    bar.minorticks_off()
    return bar


def _round_ones(bands: np.ndarray) -> np.ndarray:
    """A part of the levels that is not too many to be read, with the shortest names."""
    if len(bands) == 2:  # a constant loss
        return bands.mean(keepdims=True)
    every = 1 + len(bands) // MOST_TICKS
    parts = [bands[first::every] for first in range(every)]
    return min(parts, key=lambda part: len("".join(style.tick_names(part))))


def _here_label(result: PlaneSlice) -> str:
    here = _centre(result)
    return f"here: loss {short(here, 4)}" if np.isfinite(here) else "here: loss not finite"


def _axis_names(kind: str) -> tuple[str, str]:
    """What a step along a and b means, in words that fit on an axis."""
    if kind == "eigenvectors":
        return "a: step along the lowest curvature", "b: step along the highest curvature"
    if kind.startswith("random"):
        return "a: random direction 1 (filter-normalized)", "b: random direction 2 (filter-normalized)"
    return "a: step along direction 1 (given)", "b: step along direction 2 (given)"
