"""The same batches in evaluation and in training: what each kind of layer adds to the loss."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from diagkit.diagnosis.layers import ModeLosses
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, short, spans, styled

NAMES = {
    "evaluation": "as in evaluation",
    "batch statistics": "BatchNorm by\nthe batch",
    "dropout": "dropout on",
    "both": "as in training",
}
LOG_RANGE = 30.0


@draw.register
def draw_mode_losses(result: ModeLosses, ax: Axes | None = None) -> Drawn:
    """Each batch a thin line from mode to mode, the means thick with their values beside them."""
    kinds = [kind for kind in NAMES if len(result.sizes) and np.isfinite(result.losses(kind)).all()]
    places = np.arange(len(kinds))
    values = np.array([result.losses(kind) for kind in kinds])
    means = np.array([result.mean(kind) for kind in kinds])
    with styled(ax) as axes:
        artists: dict[str, Any] = {}
        artists["batches"] = [
            axes.plot(places, row, color=style.GREY, linewidth=style.THIN, alpha=0.5)[0] for row in values.T
        ]
        artists["means"] = axes.plot(places, means, "o", color=style.BLUE, zorder=3)[0]
        artists["values"] = [
            axes.annotate(
                short(mean),
                (place, mean),
                xytext=(10, 0),
                textcoords="offset points",
                va="center",
                weight="bold",
                path_effects=style.outlined(),
            )
            for place, mean in zip(places, means, strict=True)
        ]
        if values.size and spans(values, LOG_RANGE):
            axes.set_yscale("log")
        axes.set_xticks(places, labels=[NAMES[kind] for kind in kinds])
        axes.set_xlim(-0.4, max(len(kinds), 1) - 0.3)
        log = " (log scale)" if axes.get_yscale() == "log" else ""
        partial = "" if result.complete else " (partial)"
        label(
            axes,
            title=f"The same batches in other modes{partial}",
            x=f"mode of the layers ({len(result.sizes)} batches, one thin line each)",
            y=f"loss{log}",
        )
    return Drawn(axes, artists)
