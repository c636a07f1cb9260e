"""A legend with a caption: what cannot be drawn is said under the picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from diagkit.plots.style import TEXT, legend_below

NARROW = 5.0  # inches, of the place for the axes: a caption and two columns need more


def legend_with_caption(ax: Axes, phrases: Sequence[str], handles: list[Any] | None = None) -> Legend:
    """The legend under the axes, headed by the phrases: two on a line where there is room for them."""
    narrow = _width(ax) < NARROW
    spare = None
    handles = ax.get_legend_handles_labels()[0] if handles is None else handles
    if narrow and len(handles) == 1:  # the next picture on these axes may have two: nothing else shall move
        handles = [*handles, spare := Line2D([], [], linestyle="none", label="(nothing)")]
    legend = legend_below(ax, handles, ncols=1 if narrow else 2)
    if handles[-1] is spare:
        legend.get_texts()[-1].set_alpha(0.0)
    each = 1 if narrow else 2
    lines = [", ".join(phrases[k : k + each]) for k in range(0, len(phrases), each)]
    legend.set_title(",\n".join(lines), FontProperties(size=TEXT - 1))
    legend.get_title().set_multialignment("center")
    return legend


def _width(ax: Axes) -> float:
    """Inches that the grid of the figure gives to the axes, whatever is drawn on them."""
    spec = ax.get_subplotspec()
    box = ax.get_position(original=True) if spec is None else spec.get_position(ax.figure)  # type: ignore[arg-type]
    return float(box.width * ax.figure.bbox.width / ax.figure.dpi)
