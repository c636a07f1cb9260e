"""Four losses on one network: accuracy while training, and what each loss knows of a bad start."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from diagkit.experiments.label_encodings import LOSSES
from diagkit.experiments.label_losses import LabelLosses
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, styled

LOOKS = dict(zip(LOSSES, style.CURVES, strict=False))


@draw.register
def draw_label_losses(result: LabelLosses, ax: Axes | None = None) -> Drawn:
    """Training accuracy of each loss over the steps: the median of the seeds, and the range of all."""
    task = result.task
    with styled(ax) as axes:
        artists: dict[str, Any] = {}
        for name, (color, dashes, marker) in LOOKS.items():  # all of them, so that nothing moves
            rows = result.accuracy.get(name, np.full((1, len(result.steps)), np.nan))
            known = np.isfinite(rows).any(axis=0)
            middle, low, high = (f(rows[:, known], axis=0) for f in (np.nanmedian, np.nanmin, np.nanmax))
            lost = int((~np.isfinite(rows[:, -1])).sum()) if name in result.accuracy else 0
            diverged = f" ({lost} of {len(rows)} diverged)" if lost else ""
            look: dict[str, Any] = {"color": color, "marker": marker, "markevery": 2}
            steps = result.steps[known]
            artists[name] = axes.plot(steps, middle, dashes, label=name + diverged, **look)[0]
            if len(rows) > 1:
                axes.fill_between(steps, low, high, color=color, alpha=0.15, linewidth=0)
        axes.set_xlim(0, float(result.steps[-1]))
        axes.set_ylim(-0.02, 1.02)
        axes.grid(alpha=0.3)
        seeds = f", {len(result.seeds)} seeds" if len(result.seeds) > 1 else ""
        title = f"{task.optimizer}, η = {task.rate:g}, head start b = {task.head_start:g}{seeds}"
        label(axes, title=title, x="step", y="training accuracy")
        artists["legend"] = legend_below(axes)
        return Drawn(axes, artists)


def draw_start_loss(result: LabelLosses, ax: Axes | None = None) -> Drawn:
    """The loss before training over the head start b, each as a share of its largest."""
    with styled(ax) as axes:
        artists = _over_head_starts(axes, result, {n: v / v.max() for n, v in result.start_loss.items()})
        label(axes, title="Along b, before training", y="loss / largest")
        return Drawn(axes, artists)


def draw_start_gradient(result: LabelLosses, ax: Axes | None = None) -> Drawn:
    """The norm of the gradient before training over the head start b, on a logarithmic axis."""
    with styled(ax) as axes:
        artists = _over_head_starts(axes, result, result.start_gradient)
        axes.set_yscale("log")
        label(axes, x="b: head start of a wrong class", y="‖∇L‖")
        return Drawn(axes, artists)


def _over_head_starts(axes: Axes, result: LabelLosses, values: Any) -> dict[str, Any]:
    """Curves of those losses that depend on b, and a line at the present one."""
    artists: dict[str, Any] = {}
    for name, row in values.items():
        if len(row) == len(result.head_starts):
            color, dashes, marker = LOOKS[name]
            artists[name] = axes.plot(
                result.head_starts, row, dashes, color=color, marker=marker, markevery=5, markersize=7
            )[0]
    artists["here"] = axes.axvline(result.task.head_start, color=style.BLACK, linewidth=2.0, zorder=1)
    axes.set_xticks(result.head_starts[::5])
    axes.set_xlim(-0.3, float(result.head_starts[-1]) + 0.3)
    axes.grid(alpha=0.3)
    return artists
