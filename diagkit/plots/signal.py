"""How far signals and gradients reach: their size over the depth of a network."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from diagkit.measure.growth import LARGE, Growth
from diagkit.measure.signal import SignalPropagation
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, note, short, styled

BOUND = LARGE**0.5  # of a norm
MOST_NAMES = 8  # layers whose names fit under the axis
HEADLINES = {
    "exploding": "Gradients explode",
    "vanishing": "Gradients vanish",
    "steady": "Gradients reach all layers",
    "undecided": "Gradients over depth: undecided",
}


@draw.register
def draw_signal_propagation(result: SignalPropagation, ax: Axes | None = None) -> Drawn:
    """The sizes of outputs and of gradients at the hidden weight layers, each relative to where its way
    starts.

    Signals start at the first layer and run to the right, gradients at the last hidden one and run to the
    left. Hatched: more than ten times the start, or less than a tenth. Error bars are two standard errors
    over the examples.
    """
    weights = np.flatnonzero(result.is_weight_layer)
    shown = weights[:-1] if len(weights) > 1 else weights
    depth = np.arange(1, len(shown) + 1)
    squares, square_sems = result.mean_squares[shown], result.variance_sems[shown]
    gradients, gradient_sems = result.gradient_sq_norms[shown], result.gradient_sq_norm_sems[shown]
    with styled(ax) as axes:
        artists: dict[str, Any] = {}
        artists["signal"] = _curve(
            axes, depth, squares, square_sems, 0, "signal, from the input →", style.CURVES[0]
        )
        artists["gradient"] = _curve(
            axes, depth, gradients, gradient_sems, -1, "gradient, from the output ←", style.CURVES[1]
        )
        axes.set_yscale("log")
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, 0.5 / BOUND), max(high, 2 * BOUND))
        bottom, top = axes.get_ylim()
        look: dict[str, Any] = {"facecolor": style.UNKNOWN_FACE, "edgecolor": "white", "hatch": style.HATCH}
        artists["exploding"] = axes.axhspan(BOUND, top, zorder=0, linewidth=0, **look)
        artists["vanishing"] = axes.axhspan(bottom, 1 / BOUND, zorder=0, linewidth=0, **look)
        axes.axhline(1.0, color=style.GREY, linewidth=style.THIN, zorder=1)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{short(value)} ×"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(0.6, len(shown) + 0.4)
        if len(shown) <= MOST_NAMES:
            axes.set_xticks(depth, labels=[f"“{_tail(result.names[i])}”" for i in shown])
        else:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if not len(shown):
            note(axes, 0.5, 0.5, "no Linear or convolutional layer")
        else:
            artists["legend"] = legend_below(axes)
        partial = "" if result.complete else " (partial)"
        label(
            axes,
            title=f"{HEADLINES[result.verdict]}{partial}\n{_rate(result.gradient_growth)}{_dead(result)}",
            x="hidden weight layer, from the input to the output",
            y="size relative to its start (log)",
        )
        return Drawn(axes, artists)


def _curve(
    ax: Axes, depth: np.ndarray, squares: np.ndarray, sems: np.ndarray, start: int, name: str, look: Any
) -> Any:
    """Square roots relative to the one at ``start``; zeros have no place on a log axis and are left out."""
    color, dashes, marker = look
    with np.errstate(divide="ignore", invalid="ignore"):
        sizes = np.sqrt(squares / squares[start]) if len(squares) else squares
        errors = sizes * sems / squares  # two standard errors of the root: 2 s / (2 v)
    known = np.isfinite(sizes) & (sizes > 0)
    errors = np.minimum(np.where(np.isfinite(errors), errors, 0.0), 0.9 * sizes)[known]
    return ax.errorbar(
        depth[known], sizes[known], yerr=errors, color=color, linestyle=dashes, marker=marker, markersize=7,
        capsize=3, label=name,
    )  # fmt: skip


def _rate(found: Growth) -> str:
    """Of the norm, since that is what is drawn."""
    if not np.isfinite(found.factor):
        return "too few hidden layers for a rate"
    low, high = (float(np.sqrt(end)) for end in found.interval)
    ends = f" ({short(low)} to {short(high)})" if np.isfinite(low) else ""
    return f"norm × {short(found.factor**0.5)} per layer backwards{ends}"


def _dead(result: SignalPropagation) -> str:
    known = np.where(np.isfinite(result.dead), result.dead, 0.0)
    worst = int(np.argmax(known))
    if known[worst] == 0:
        return ""
    return f"\nup to {100 * known[worst]:.0f} % dead units (layer {_tail(result.names[worst])})"


def _tail(name: str) -> str:
    """The last two parts of a long name.

    Example
    -------
    >>> _tail("features.block2.conv1.layer"), _tail("fc1")
    ('conv1.layer', 'fc1')
    """
    return style.given_name(".".join(name.split(".")[-2:]))
