"""The loss over a plane as a surface in three dimensions, which can be turned."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator
from mpl_toolkits.mplot3d.axes3d import Axes3D
from scipy.interpolate import RegularGridInterpolator

from diagkit.errors import InputError
from diagkit.measure.surface import PlaneSlice
from diagkit.objective import check_count
from diagkit.plots import plane_words, style
from diagkit.plots.caption import legend_with_caption
from diagkit.plots.drawing import Drawn
from diagkit.plots.levels import Bands
from diagkit.plots.plane_axes import brief_names, true_aspect
from diagkit.plots.plane_marks import DIAMOND, STAR
from diagkit.plots.plane_paths import look_of, named_paths
from diagkit.plots.style import label, outlined, styled

SIZE = (8.0, 7.0)  # inches, of a figure made here
UNTOUCHED = (30, -60)  # matplotlib's angles of view: nobody has turned the picture yet
ELEVATION = 35.0
ASIDE = 12.0  # degrees off the diagonal, so that no edge hides another
FLOOR = 0.6  # of the height of the surface: how far below it the height lines are
HEIGHT = 0.8  # of the box, in units of the longer side
ZOOM = 0.95
PIECES = 400  # of a path, each lifted onto the surface
MOST_TICKS = 6


def draw_surface_3d(
    result: PlaneSlice,
    ax: Axes | None = None,
    *,
    path: Any = None,
    path_label: str = "path",
    levels: int = 16,
) -> Drawn:
    """See :func:`diagkit.plots.draw_plane`."""
    check_count("levels", levels, least=2, write="16")
    ways = named_paths(path, path_label)
    if ax is not None and not isinstance(ax, Axes3D):
        raise InputError(
            "flat axes for view='3d'",
            allowed="axes of three dimensions, or none",
            write='figure.add_subplot(projection="3d")',
        )
    with styled(ax, projection="3d") as new:
        axes = cast(Axes3D, new)
        if ax is None:
            axes.figure.set_size_inches(*SIZE)
        axes.computed_zorder = False  # star and paths stay visible; the order is that of drawing
        artists: dict[str, Any] = {}
        if np.isfinite(result.loss).any():
            bands = Bands.of(result.scale, int(levels))
            artists = _surface(axes, result, bands) | _on_top(axes, result, bands, ways)
        else:
            artists["empty"] = axes.text2D(
                0.5, 0.6, "no finite loss on this plane", transform=axes.transAxes, ha="center"
            )
        if words := plane_words.missing(result):
            artists["unknown"] = axes.plot([], [], [], "none", label=f"left out: {words}")[0]
        x, y = brief_names(result)
        label(axes, title=plane_words.title(result), x=x, y=y)
        artists["legend"] = legend_with_caption(axes, plane_words.how_sure(result))
        return Drawn(axes, artists)


def _surface(ax: Axes3D, result: PlaneSlice, bands: Bands) -> dict[str, Any]:
    """The surface, and its height lines on a floor below it."""
    a, b = np.meshgrid(result.a, result.b, indexing="ij")
    z, borders = bands.height(result.loss), bands.height(bands.levels)
    low, high = float(np.nanmin(z)), float(np.nanmax(z))
    span = (high - low) or float(np.ptp(borders))
    floor = low - FLOOR * span
    colours: dict[str, Any] = {"cmap": style.SURFACE, "norm": Normalize(borders[0], borders[-1])}
    artists = {
        "floor": ax.contourf(
            a, b, np.ma.masked_invalid(z), levels=borders, zdir="z", offset=floor, zorder=1, **colours
        ),
        "surface": ax.plot_surface(
            a, b, z, rstride=1, cstride=1, linewidth=0.25, edgecolor=(0, 0, 0, 0.35), zorder=3, **colours
        ),
    }
    ax.set(xlim=result.a[[0, -1]], ylim=result.b[[0, -1]], zlim=(floor, high + 0.02 * span))
    ax.set_box_aspect(_box(result), zoom=ZOOM)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ticks = bands.ticks(MOST_TICKS)
    ax.set_zticks(bands.height(ticks), labels=style.tick_names(ticks))
    if not ax.get_zlabel():
        ax.set_zlabel(bands.name, fontsize=style.LOOK["axes.labelsize"])
    longest = max(map(len, style.tick_names(ticks)))  # numbers are centred at their place: keep clear of them
    ax.tick_params("z", pad=2 + 3 * longest)
    ax.xaxis.labelpad = ax.yaxis.labelpad = 12
    ax.zaxis.labelpad = 8 + 7 * longest
    if (ax.elev, ax.azim) == UNTOUCHED:
        ax.view_init(ELEVATION, _azimuth(z))
    return artists


def _on_top(ax: Axes3D, result: PlaneSlice, bands: Bands, ways: dict[str, np.ndarray]) -> dict[str, Any]:
    """Paths, the model and other known points, on the surface and in front of it."""
    heights = RegularGridInterpolator(
        (result.a, result.b), bands.height(result.loss), bounds_error=False, fill_value=np.nan
    )
    artists: dict[str, Any] = {"paths": []}
    for number, (name, way) in enumerate(ways.items()):
        color, dashes, marker = look_of(number)
        points = in_pieces(way)
        look = {"color": color, "linestyle": dashes, "linewidth": 3.0, "path_effects": outlined("white", 5.5)}
        line = ax.plot(*points.T, heights(points), label=name, zorder=5, **look)[0]
        ax.plot(*way[:1].T, heights(way[:1]), marker, color=color, markeredgecolor="white", zorder=6)
        artists["paths"].append(line)
    floor, here = ax.get_zlim()[0], float(bands.height(plane_words.loss_here(result)))
    artists["here"] = ax.plot([0.0], [0.0], [here], label=plane_words.here(result), zorder=8, **STAR)[0]
    if np.isfinite(here):
        artists["plumb"] = ax.plot(
            [0.0, 0.0], [0.0, 0.0], [floor, here], ":", color=style.BLACK, linewidth=2.0, zorder=2
        )[0]
    artists["marks"] = []
    for mark in result.marks:
        z = float(bands.height(mark.loss))
        artists["marks"].append(ax.plot([mark.a], [mark.b], [z], zorder=7, **DIAMOND)[0])
        words = plane_words.of_mark(mark)
        ax.text(
            mark.a, mark.b, z, f"{words}\n", weight="bold", path_effects=outlined(), zorder=9, ha="center"
        )
    return artists


def in_pieces(way: np.ndarray) -> np.ndarray:
    """A path [n, 2] as many short pieces, which follow a surface that is not flat.

    Example
    -------
    >>> in_pieces(np.array([[0.0, 0.0], [2.0, 0.0]]))[[0, 200, 400]].tolist()
    [[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]]
    """
    done = np.append(0.0, np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=1)))
    s = np.linspace(0.0, done[-1], PIECES + 1)
    return np.stack([np.interp(s, done, x) for x in way.T], axis=1)


def _box(result: PlaneSlice) -> tuple[float, float, float]:
    """Sides of the box: those of the plane, where they can be."""
    aspect = true_aspect(result)
    sides = np.array([np.ptp(result.a), aspect * np.ptp(result.b)]) if aspect else np.ones(2)
    width, depth = sides / sides.max()
    return float(width), float(depth), HEIGHT


def _azimuth(z: np.ndarray) -> float:
    """The angle from which the lowest quarter of the picture lies in front."""
    n, m = z.shape[0] // 2 + 1, z.shape[1] // 2 + 1
    quarters = {-45.0: z[-n:, :m], 45.0: z[-n:, -m:], 135.0: z[:n, -m:], -135.0: z[:n, :m]}
    means = {angle: np.nanmean(part) for angle, part in quarters.items() if np.isfinite(part).any()}
    spread = float(np.nanmax(z) - np.nanmin(z))
    # Equal quarters leave the usual view: rounding decides nothing.
    lowest = min(means, key=lambda angle: round((means[angle] - np.nanmin(z)) / (spread or 1.0), 2))
    return lowest - ASIDE
