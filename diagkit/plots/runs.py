"""Runs enter ``draw`` here: their pictures are in ``history``."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.history import draw_history, draw_training_run
from diagkit.plots.style import styled
from diagkit.training import History, TrainingRun


@draw.register
def _history(result: History, ax: Axes | None = None, **options: Any) -> Drawn:
    with styled(ax) as axes:
        return Drawn(axes, dict(draw_history(result, axes, **options)))


@draw.register
def _training_run(result: TrainingRun, ax: Axes | None = None, **options: Any) -> Drawn:
    with styled(ax) as axes:
        return Drawn(axes, dict(draw_training_run(result, axes, **options)))
