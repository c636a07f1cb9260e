"""The spectral density: where the curvatures lie, negative ones apart from positive ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from diagkit.measure.density import SpectralDensity
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, note, short, styled

VISIBLE = 0.08  # of the axis: a negative side narrower than this asks for a symmetric log scale
RUG = 0.04  # height of the strip of nodes, in parts of the axes
FAINT = 1e-10  # the axis goes no deeper below the peak of one point


@draw.register
def draw_density(result: SpectralDensity, ax: Axes | None = None) -> Drawn:
    """The density on a logarithmic axis with its band of two standard errors; ticks below are the nodes.

    The dotted line is the height of one eigenvalue among P. Each eigenvalue is drawn as a Gaussian, which
    reaches beyond zero whatever its sign: what proves negative curvature is a node below zero, and where
    there is none the curve left of zero is grey.
    """
    nodes = np.unique(result.nodes[result.weights > 0])
    low, high = result.range
    negative = low < -result.rounding
    with styled(ax) as axes:
        one = 1.0 / (result.sigma * np.sqrt(2 * np.pi) * result.num_params)
        bottom = max(0.03 * one, FAINT * one * result.num_params)
        band = np.where(np.isfinite(result.sem), result.upper, result.density)
        axes.set_yscale("log")
        axes.set_ylim(bottom, 10 * float(band.max()))
        symlog = _set_range(axes, result, negative)
        grid = np.union1d(result.grid, 0.0) if result.grid[0] < 0 < result.grid[-1] else result.grid
        curve, lower, upper = (
            np.maximum(np.interp(grid, result.grid, y), bottom / 10)
            for y in (result.density, result.lower, band)
        )
        sides = {
            "negative": (grid <= 0, style.VERMILLION if negative else style.GREY),
            "positive": (grid >= 0, style.BLUE),
        }
        artists: dict[str, Any] = {"zero": axes.axvline(0.0, color="black", linewidth=style.LINE)}
        for side, (where, color) in sides.items():
            x = grid[where]
            artists[side] = axes.plot(x, curve[where], color=color)[0]
            axes.fill_between(x, bottom / 10, curve[where], color=color, alpha=0.15, linewidth=0)
            if not result.exact:
                edges = lower[where], upper[where]
                artists[f"band {side}"] = axes.fill_between(x, *edges, color=color, alpha=0.35, linewidth=0)
            sign = -1 if side == "negative" else 1
            artists[f"nodes {side}"] = _rug(axes, nodes[sign * nodes > result.rounding], color)
        artists["one"] = axes.axhline(
            one, color=style.BLACK, linestyle=":", label=f"one of the P = {result.num_params:,} eigenvalues"
        )
        axes.plot(
            [], [], color=style.BLUE, label="density" if result.exact else "density, band ±2 standard errors"
        )
        kind = "eigenvalues" if result.exact else "Ritz values: inside the spectrum"
        axes.plot([], [], "|", color=style.GREY, markersize=12, markeredgewidth=2, label=kind)
        down = f"negative: downhill,\nto {short(low)}" if negative else "nothing found\nbelow zero"
        artists["downhill"] = _side(axes, -1, down, style.VERMILLION if negative else style.GREY)
        artists["uphill"] = _side(axes, 1, f"positive: uphill,\nto {short(high)}", style.BLUE)
        scale = ", symmetric log scale" if symlog else ""
        how = "exact" if result.exact else f"{len(result.nodes)} probes"
        partial = ", partial" if not result.complete else ""
        label(
            axes,
            title=f"How the curvatures are spread ({how}{partial})",
            x=f"curvature (eigenvalue of the Hessian{scale})",
            y=f"density (blurred by {short(result.sigma, 2)})",
        )
        artists["legend"] = legend_below(axes)
        return Drawn(axes, artists)


def _set_range(ax: Axes, result: SpectralDensity, negative: bool) -> bool:
    """Limits of the x-axis with zero inside; True where it is made logarithmic on both sides of zero."""
    left, right = min(result.grid[0], 0.0), max(result.grid[-1], 0.0)
    low = result.range[0]
    small = negative and -low < VISIBLE * (right - left)
    if not small:
        room = 0.4 * (right - left)  # for the words on a side that would have none
        ax.set_xlim(min(left, -room), max(right, room))
        return False
    threshold = 10.0 ** np.ceil(np.log10(result.sigma))  # within it there is nothing but blur
    ax.set_xscale("symlog", linthresh=threshold)
    decades = max(1, int(np.ceil(np.log10(right / threshold))))
    powers = threshold * 10.0 ** np.arange(0, decades + 1, max(1, decades // 3))
    ticks = [-threshold, 0.0, *powers]
    ax.set_xticks(ticks, labels=[short(x) for x in ticks])
    ax.set_xticks([], minor=True)
    ax.set_xlim(min(-10.0 * threshold, left), 2 * right)
    return True


def _rug(ax: Axes, nodes: np.ndarray, color: str) -> Any:
    heights = np.full(nodes.shape, RUG / 2)
    return ax.plot(
        nodes,
        heights,
        "|",
        color=color,
        markersize=12,
        transform=ax.get_xaxis_transform(),
        markeredgewidth=1.5,
    )[0]


def _side(ax: Axes, sign: int, text: str, color: str) -> Any:
    """Words beside zero, on the side that they are about."""
    zero = ax.transAxes.inverted().transform(ax.transData.transform((0.0, ax.get_ylim()[0])))[0]
    edge = 0.0 if sign < 0 else 1.0
    return note(ax, (zero + edge) / 2, 0.92, text, color=color, weight="bold")
