"""A descent in three pictures: the way over the surface, the loss, the curvature against its limit."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from diagkit.errors import InputError
from diagkit.measure.surface import PlaneSlice
from diagkit.measure.surface.scale import Scale
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.levels import Bands
from diagkit.plots.style import label, note, outlined, styled
from diagkit.training.descent import DescentPath

BANDS = 10
FLOOR = 1e-3  # of the largest loss: what is lower has one colour
BEYOND = 4.0  # half-widths of the window at which a path that leaves it is cut
DECADES = (-8, 4)  # of the loss that are shown, so that nothing jumps from one rate to the next
DOUBLE = 2.2  # the axis of the curvature ends at so many times the limit
APART = 0.12  # of the window: start and end are named both
COLOR = style.VERMILLION


@draw.register
def draw_descent_path(
    result: DescentPath, ax: Axes | None = None, *, view: str = "loss", target: float | None = None
) -> Drawn:
    """The loss over the steps (``view="loss"``, logarithmic), or the curvature against its limit ("limit").

    What leaves the picture is drawn on its border: a path that diverges, a curvature far above the limit.
    ``target`` draws a line at that loss. The way itself: :func:`draw_descent_map`.

    Raises
    ------
    InputError : another view.
    """
    if view not in ("loss", "limit"):
        raise InputError(f"view={view!r}", allowed="'loss' or 'limit'", write="view='limit'")
    with styled(ax) as axes:
        artists = _loss(result, axes, target) if view == "loss" else _limit(result, axes)
        axes.set_xlim(0, max(result.steps, 1))
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        label(axes, title=f"{result.optimizer} at rate {style.short(result.rate)}", x="steps")
        return Drawn(axes, artists)


def draw_descent_map(
    plane: PlaneSlice,
    path: DescentPath | None = None,
    ax: Axes | None = None,
    *,
    centre: tuple[float, float] = (0.0, 0.0),
) -> Drawn:
    """The surface from above, with the start (square), every step (dots) and the end (star) of a path.

    The coordinates are the two parameters themselves: ``plane`` is taken along their axes, around
    ``centre``. A darker colour is a lower loss, on a logarithmic scale where the losses span more than 30x.
    """
    with styled(ax) as axes:
        a, b = plane.a + centre[0], plane.b + centre[1]
        # A valley narrower than a cell would look like a chain of holes: the lowest losses are one colour.
        floor = FLOOR * float(np.nanmax(np.where(np.isfinite(plane.loss), plane.loss, np.nan), initial=0.0))
        heights = np.maximum(plane.loss.T, floor) if plane.scale.floor is not None else plane.loss.T
        bands = Bands.of(Scale.of(heights), BANDS)
        loss = bands.clipped(heights)
        artists: dict[str, Any] = {"bands": None}
        if not loss.mask.all():
            look: dict[str, Any] = {"levels": bands.levels}
            artists["bands"] = axes.contourf(a, b, loss, cmap=style.SURFACE, norm=bands.norm, **look)
            axes.contour(a, b, loss, colors="black", linewidths=0.6, alpha=0.5, **look)
        box = np.array([[a[0], b[0]], [a[-1], b[-1]]])
        if path is not None:
            artists |= _way(path, box, axes)
        axes.set_xlim(*box[:, 0])
        axes.set_ylim(*box[:, 1])
        axes.set_aspect("equal")
        label(axes, x="$w_1$", y="$w_2$")
        return Drawn(axes, artists)


def inside(theta: np.ndarray, box: np.ndarray) -> np.ndarray:
    """The points up to the first one far outside, which is drawn back along its step to where it can be seen.

    Example
    -------
    >>> box = np.array([[-1.0, -1.0], [1.0, 1.0]])
    >>> inside(np.array([[0.0, 0.0], [0.0, 0.5], [0.0, 1e9], [0.0, -1e18]]), box).tolist()
    [[0.0, 0.0], [0.0, 0.5], [0.0, 4.0]]
    """
    middle, half = box.mean(0), np.ptp(box, axis=0) / 2
    with np.errstate(invalid="ignore", over="ignore"):
        far = ~(np.abs((theta - middle) / half).max(1) <= BEYOND)
    if not far.any():
        return theta
    first = int(far.argmax())
    if first == 0 or not np.isfinite(theta[first]).all():
        return theta[:first]
    here, there = (theta[first - 1] - middle) / half, (theta[first] - middle) / half
    move = there - here
    share = (BEYOND - np.abs(here).max()) / max(np.abs(move).max(), 1e-300)
    return np.vstack([theta[:first], middle + half * (here + min(share, 1.0) * move)])


def _way(path: DescentPath, box: np.ndarray, axes: Axes) -> dict[str, Any]:
    way = inside(path.theta, box)
    if not len(way):
        return {"outside": note(axes, 0.5, 0.5, "the start is far outside")}
    artists: dict[str, Any] = {}
    edge: dict[str, Any] = {"markeredgecolor": "white", "linestyle": "none", "zorder": 5}
    artists["way"] = axes.plot(
        *way.T, "-", color=COLOR, linewidth=2.0, path_effects=outlined("white", 4.0), zorder=4
    )[0]
    artists["dots"] = axes.plot(*way.T, "o", color=COLOR, markersize=5, markeredgewidth=0.6, **edge)[0]
    artists["start"] = axes.plot(*way[0], "s", color=style.BLACK, markersize=11, **edge)[0]
    if len(way) == len(path.theta):
        artists["end"] = axes.plot(*way[-1], "*", color=style.BLACK, markersize=19, **edge)[0]
    named = {"start": way[0], "end": way[-1]} if "end" in artists else {"start": way[0]}
    if len(named) == 2 and np.abs((way[-1] - way[0]) / np.ptp(box, axis=0)).max() < APART:
        named = {"start": way[0]}  # two names on one place cannot be read
    for name, (x, y) in named.items():
        right = x < box[:, 0].mean()
        artists[f"{name}_name"] = axes.annotate(
            name,
            (x, y),
            (12 if right else -12, 0),
            textcoords="offset points",
            ha="left" if right else "right",
            va="center",
            path_effects=outlined(),
            annotation_clip=True,
            zorder=6,
        )
    outside = (path.theta < box[0]) | (path.theta > box[1]) | ~np.isfinite(path.theta)
    if outside[-1].any():
        artists["outside"] = note(axes, 0.5, 0.95, "leaves the picture")
    return artists


def _loss(path: DescentPath, axes: Axes, target: float | None) -> dict[str, Any]:
    low, high = 10.0 ** DECADES[0], 10.0 ** DECADES[1]
    shown = np.clip(np.nan_to_num(path.loss, nan=np.inf), low, high)
    color, dashes, marker = COLOR, "-", "o"
    artists: dict[str, Any] = {}
    if target is not None:
        artists["target"] = axes.axhline(target, color=style.GREEN, linewidth=3, linestyle="--", zorder=1)
        axes.text(
            0.99, target, "target ", color=style.GREEN, ha="right", va="bottom", fontsize=style.TEXT,
            transform=axes.get_yaxis_transform(), path_effects=outlined(),
        )  # fmt: skip
    artists["loss"] = axes.plot(
        shown, dashes, color=color, marker=marker, markersize=4, linewidth=2.0, clip_on=False
    )[0]
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    axes.set_yticks([1e-8, 1e-4, 1.0, 1e4])
    axes.minorticks_off()
    if path.diverges:
        artists["diverges"] = note(axes, 0.5, 0.64, "diverges", color=COLOR, fontsize=style.TITLE + 3)
    label(axes, y="loss $L$")
    return artists


def _limit(path: DescentPath, axes: Axes) -> dict[str, Any]:
    limits = path.rate * path.limits
    known = limits[np.isfinite(limits)]
    label(axes, y=r"$\eta\,\lambda_{\max}$")
    if not known.size:
        return {"unknown": note(axes, 0.5, 0.5, "no limit is known yet")}
    limit = float(known[-1])
    top = DOUBLE * limit
    scaled = path.rate * path.sharpness
    shown = np.clip(scaled, -0.02 * top, top)
    ground = Rectangle(
        (0, limit), max(path.steps, 1), top - limit, facecolor=style.ORANGE, alpha=0.3,
        hatch=style.HATCH, edgecolor="white", linewidth=0, zorder=0,
    )  # fmt: skip
    axes.add_patch(ground)
    artists: dict[str, Any] = {"unstable": ground}
    artists["limit"] = axes.axhline(limit, color=style.BLACK, linewidth=3, linestyle="--", zorder=1)
    artists["scaled"] = axes.plot(
        shown, "-", color=COLOR, marker="o", markersize=4, linewidth=2.0, clip_on=False
    )[0]
    artists["name"] = note(axes, 0.98, 0.97, "unstable", ha="right", va="top")
    if path.preconditioned:
        artists["matrix"] = note(axes, 0.02, 0.97, "of $D^{-1/2}HD^{-1/2}$", ha="left", va="top")
    axes.set_ylim(min(0.0, float(np.nanmin(shown, initial=0.0))), top)
    axes.set_yticks([0.0, limit / 2, limit, 2 * limit])
    axes.set_yticklabels([style.short(tick) for tick in axes.get_yticks()])
    return artists
