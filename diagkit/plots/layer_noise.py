"""Which layers learn from signal, which from noise: the signal-to-noise ratio of each layer's gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from diagkit.errors import InputError
from diagkit.measure.layer_noise import LayerNoise
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, note, styled

MOST_LAYERS = 14


@draw.register
def draw_layer_noise(result: LayerNoise, ax: Axes | None = None, *, batch_size: int = 1) -> Drawn:
    """The ratio of each layer with its 95 % interval, for a batch of ``batch_size``; at 1 signal and noise
    are equal.

    Hollow, with an arrow to the left: not resolved, no more than the upper end. Of more than 14 layers those
    with the most parameters are shown.

    Raises
    ------
    InputError : a batch size below 1.
    """
    if not (np.isfinite(batch_size) and batch_size >= 1):
        raise InputError(f"batch_size = {batch_size!r}", allowed="an integer of 1 or more")
    shown = np.sort(np.argsort(-result.num_params, kind="stable")[:MOST_LAYERS])
    rows, resolved = np.arange(len(shown)), result.resolved[shown]
    snr, ends = batch_size * result.snr[shown], batch_size * result.intervals[shown]
    numbers = np.r_[snr, ends.ravel()]
    numbers = numbers[np.isfinite(numbers) & (numbers > 0)]
    left, right = (numbers.min() / 3, numbers.max() * 3) if numbers.size else (1e-3, 1.0)
    left, right = min(left, 0.3), max(right, 30.0)
    with styled(ax) as axes:
        axes.set_xscale("log")
        axes.set_xlim(left, right)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        artists: dict[str, Any] = {}
        artists["noise"] = axes.axvspan(left, 1.0, color=style.VERMILLION, alpha=0.12, linewidth=0)
        artists["signal"] = axes.axvspan(1.0, right, color=style.BLUE, alpha=0.12, linewidth=0)
        ends = np.clip(ends, left, right)
        artists["intervals"] = axes.hlines(rows, ends[:, 0], ends[:, 1], color="black", linewidth=2)
        if resolved.any():
            artists["points"] = axes.plot(
                np.clip(snr[resolved], left, right), rows[resolved], "o", color=style.BLUE, markersize=10,
                label="resolved, with 95 % interval",
            )[0]  # fmt: skip
        if not resolved.all():
            artists["unresolved"] = axes.plot(
                ends[~resolved, 1], rows[~resolved], "<", color="black", markerfacecolor="white",
                markersize=11,
                label="not resolved: at most this",
            )[0]  # fmt: skip
        axes.set_yticks(rows, labels=[style.given_name(result.names[i]) for i in shown])
        middle = np.log(1.0 / left) / np.log(right / left)
        note(axes, middle / 2, 1.03, "noise rules")
        note(axes, (1 + middle) / 2, 1.03, "signal rules")
        what = "one example" if batch_size == 1 else f"a batch of {batch_size}"
        some = f" ({len(shown)} of {len(result.names)} layers)" if len(shown) < len(result.names) else ""
        label(
            axes,
            title=f"Signal and noise of the gradient, layer by layer{some}\n",
            x=f"signal-to-noise ratio of {what}, |G|² / noise variance (log)",
            y="layer",
        )
        artists["legend"] = legend_below(axes)
        return Drawn(axes, artists)
