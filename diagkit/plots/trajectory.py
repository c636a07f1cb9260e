"""The plane of a trajectory: what it explains beside a random walk, and what its contours leave out."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from diagkit.measure.surface import TrajectoryPlane
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, short, styled

BARS = 0.42  # width of one bar, in places
SHARE = 1.6  # how much wider the losses are than the bars
LOG_FROM = 30.0


@draw.register
def draw_trajectory(result: TrajectoryPlane, ax: Axes | None = None) -> Drawn:
    """Left: variance along PC1, PC2 and both, beside a random walk's. Right: loss on and beside the plane.

    Where the bars are alike, the path would look the same if training had wandered at random. Where the two
    curves part, contours over the plane are not the loss of the trajectory.
    """
    with styled(ax) as axes:
        if ax is None:
            axes.figure.set_size_inches(11.0, 5.0)  # type: ignore[union-attr]
        left = _room_at_left(axes)
        artists: dict[str, Any] = {"left": left} | _explained(result, left) | _losses(result, axes)
        partial = "" if result.complete else " (partial)"
        label(left, title="Variance in the plane", y="share of variance, %")
        y = "loss (log scale)" if axes.get_yscale() == "log" else "loss"
        label(axes, title=f"Loss along the path{partial}", x="point of the trajectory", y=y)
        for name, panel in (("legend_left", left), ("legend", axes)):
            artists[name] = legend_below(panel, ncols=1)  # side by side there is no room for two
        return Drawn(axes, artists)


def _explained(result: TrajectoryPlane, ax: Axes) -> dict[str, Any]:
    places = np.arange(3)
    artists = {}
    looks = (
        ("explained", result.explained, -1, style.BLUE, None, "this trajectory"),
        ("random_walk", result.explained_by_random_walk, 1, "#BBBBBB", style.HATCH, "random walk"),
    )
    for name, shares, side, color, hatch, words in looks:
        heights = 100 * np.append(shares, shares.sum())
        bars = ax.bar(
            places + side * BARS / 2, heights, BARS, color=color, hatch=hatch, edgecolor="black", label=words
        )
        artists[name] = bars
        ax.bar_label(bars, labels=[f"{height:.0f}" for height in heights], padding=2, fontsize=style.TEXT)
    ax.set_xticks(places, labels=["PC1", "PC2", "both"])
    ax.set_ylim(0, 115)
    ax.set_yticks([0, 25, 50, 75, 100])
    return artists


def _losses(result: TrajectoryPlane, ax: Axes) -> dict[str, Any]:
    steps, artists = np.arange(len(result.path)), {}
    curves = (
        ("on_path", result.loss_on_path, "true loss at the point"),
        ("on_plane", result.loss_on_plane, "loss shown by contours"),
    )
    for (name, loss, words), (color, dashes, marker) in zip(curves, style.CURVES, strict=False):
        artists[name] = ax.plot(
            steps,
            np.where(np.isfinite(loss), loss, np.nan),
            color=color,
            linestyle=dashes,
            marker=marker,
            markersize=6,
            markevery=max(1, len(steps) // 15),
            label=words,
        )[0]
    both = np.concatenate([result.loss_on_path, result.loss_on_plane])
    if style.spans(both, LOG_FROM) and not (both == 0).any():
        ax.set_yscale("log")
    difference = np.abs(result.loss_on_path - result.loss_on_plane)
    if np.isfinite(difference).any():
        at = int(np.nanargmax(np.where(np.isfinite(difference), difference, np.nan)))
        ends = sorted((float(result.loss_on_path[at]), float(result.loss_on_plane[at])))
        artists["difference"] = ax.plot(
            [at, at],
            ends,
            color=style.BLACK,
            linewidth=style.LINE,
            label=f"largest difference: {short(result.largest_difference)}",
            zorder=5,
        )[0]
    bad = ~np.isfinite(both)
    if bad.any():
        artists["not_finite"] = ax.plot([], [], " ", label=f"no number: {int(bad.sum())} of {len(both)}")[0]
    ax.grid(alpha=0.3)
    return artists


def _room_at_left(ax: Axes) -> Axes:
    """New axes in the left part of the place of ``ax``, which keeps the rest."""
    spec = ax.get_subplotspec()
    if spec is None:
        x, y, width, height = ax.get_position().bounds
        part = width / (1 + SHARE)
        ax.set_position((x + 1.4 * part, y, width - 1.4 * part, height))
        return ax.figure.add_axes((x, y, part, height))
    parts = spec.subgridspec(1, 2, width_ratios=[1.0, SHARE])
    ax.set_subplotspec(parts[1])
    return ax.figure.add_subplot(parts[0])
