"""What eigenvalues will cost: memory as bars, time in the title."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from diagkit.measure.cost import CostEstimate
from diagkit.measure.price import in_words
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, short, styled

MIB = 2.0**20


@draw.register
def draw_cost(result: CostEstimate, ax: Axes | None = None) -> Drawn:
    """The Krylov basis and the graphs that are kept, in MiB; products and seconds in the title."""
    held = {"Krylov basis": result.basis_bytes, "graphs kept": result.graph_bytes}
    with styled(ax) as axes:
        bars = axes.barh(
            list(held), [b / MIB for b in held.values()], color=[style.BLUE, style.ORANGE], height=0.6
        )
        artists: dict[str, Any] = {"bars": bars}
        artists["numbers"] = axes.bar_label(bars, [in_words(b) for b in held.values()], padding=6)
        axes.margins(x=0.25)
        axes.set_xlim(left=0.0)
        seconds = " to ".join(short(s, 2) for s in result.seconds_expected)
        few, many = result.products
        label(axes, title=f"{few} to {many} products, about {seconds} s", x="memory (MiB)", y="")
        return Drawn(axes, artists)
