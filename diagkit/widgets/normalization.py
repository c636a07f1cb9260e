"""The panel of normalization layers: how far gradients reach, a short run, curvature on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor, nn

from diagkit.clinic.digits import digits
from diagkit.errors import InputError
from diagkit.experiments.normalization.short_run import (
    PLAIN,
    NormalizationRun,
    NormalizationTask,
    normalization_run_stages,
)
from diagkit.objective import check_count
from diagkit.plots.normalization_run import draw_curvature_on_the_way, draw_normalization_run, name
from diagkit.plots.signal import draw_signal_propagation
from diagkit.plots.style import TEXT, short
from diagkit.widgets import controls
from diagkit.widgets.canvas import Canvas
from diagkit.widgets.panel import Panel
from diagkit.widgets.screen import Screen

KINDS = ("none", "batch", "layer", "group", "weight", "spectral")
DEPTHS = (3, 5, 8, 12, 20)  # hidden layers
WIDTH = 32
RATES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
STEPS = 100
WITHOUT = "Without normalization"
GOAL_LOSS = 1.0
SIZE = (10.8, 5.4)  # inches
# Edges in fractions of the figure, given so that nothing moves when numbers change.
FRAME = {"left": 0.13, "right": 0.985, "bottom": 0.24, "top": 0.83, "wspace": 0.24}
ALT = "Size of signals and gradients over depth; loss and largest curvature of a short run"


@dataclass(frozen=True)
class NormalizationSettings:
    """What a run depends on. depth : hidden layers of the default network; of no meaning to your own.

    Raises
    ------
    InputError : an unknown kind, a rate or a depth that is not positive.
    """

    kind: str = PLAIN
    depth: int = 12
    rate: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        NormalizationTask(self.kind, self.rate)
        check_count("depth", self.depth, write="12")


class NormalizationPanel(Panel[NormalizationSettings, NormalizationRun]):
    """What does a normalization layer change in a deep network?

    Parameters
    ----------
    make_model, loss_fn, data : your own plain network, loss and (X, y); a ReLU network of chosen depth on
        the digits if None. kinds : of normalization to choose from.
    kind, depth, rate, seed : the settings at first.

    Attributes
    ----------
    settings : frozen; changed by the controls. result : the NormalizationRun for the present settings.

    Raises
    ------
    InputError : a part of a task without the rest, a kind that is none of ``kinds``.
    """

    def __init__(
        self,
        make_model: Callable[[], nn.Module] | None = None,
        loss_fn: Callable[..., Tensor] | None = None,
        data: tuple[Tensor, Tensor] | None = None,
        *,
        kinds: Sequence[str] = KINDS,
        kind: str = PLAIN,
        depth: int = 12,
        rate: float = 0.1,
        seed: int = 0,
    ) -> None:
        given = [part is not None for part in (make_model, loss_fn, data)]
        if any(given) and not all(given):
            raise InputError(
                "a part of a task",
                allowed="make_model, loss_fn and data together, or none of them",
                write="NormalizationPanel(make_model, loss_fn, (X, y))",
            )
        if kind not in kinds:
            raise InputError(f"kind={kind!r}", allowed=f"one of {list(kinds)}")
        self.make_model = make_model
        self.loss_fn: Any = loss_fn or nn.CrossEntropyLoss()
        self.data = digits() if data is None else data
        settings = NormalizationSettings(kind, depth, rate, seed)
        screen = Screen()
        self.canvas = Canvas(screen, size=SIZE, alt=ALT)
        deep = {} if make_model else {"depth": controls.scale("hidden layers", DEPTHS, depth)}
        made = {
            "kind": controls.choice("normalization", list(kinds), kind),
            **deep,
            "rate": controls.scale("rate η", RATES, rate),
            "seed": controls.seed(seed),
        }
        what = "" if make_model else "with 12 hidden layers or more, "
        goal = f"{what}end at a loss below {GOAL_LOSS:g} after {STEPS} steps."
        super().__init__(screen, settings, controls=made, view=[self.canvas.widget], live=True, goal=goal)

    def results(self, settings: NormalizationSettings) -> Iterator[NormalizationRun]:
        task = NormalizationTask(settings.kind, settings.rate, STEPS)
        make = self.make_model or partial(deep_net, settings.depth)
        yield from normalization_run_stages(make, self.loss_fn, self.data, task, seed=settings.seed)

    def draw(self, result: NormalizationRun | None, settings: NormalizationSettings) -> None:
        if result is None:
            return  # a live panel keeps its last picture
        with self.canvas.redrawn() as figure:
            grid = figure.add_gridspec(2, 2, hspace=0.16, **FRAME)
            signals = figure.add_subplot(grid[:, 0])
            draw_signal_propagation(result.signals, signals)
            signals.set_title(signals.get_title(), fontsize=TEXT + 1, y=1.02)
            signals.set_ylabel("size relative to its start")
            signals.minorticks_off()
            loss = figure.add_subplot(grid[0, 1])
            curvature = figure.add_subplot(grid[1, 1], sharex=loss)
            draw_normalization_run(result, loss)
            drawn = draw_curvature_on_the_way(result, curvature)
            loss.set_title(loss.get_title(), y=1.02)
            loss.set_xlabel("")
            loss.tick_params(labelbottom=False)
            for ax in (loss, curvature):
                ax.yaxis.set_label_coords(-0.13, 0.5)
            figure.legend(
                handles=list(drawn.artists.values()), loc="lower center", bbox_to_anchor=(0.77, 0.05),
                ncols=3, frameon=False,
            )  # fmt: skip

    def words(self, result: NormalizationRun, settings: NormalizationSettings) -> str:
        found = result.signals.gradient_growth
        lines = []
        if np.isfinite(found.factor):
            lines.append(
                f"At the start the squared gradient changes by × {short(found.factor)} per layer on its way "
                f"back: {result.signals.verdict}."
            )
        for kind, run in result.runs.items():
            end = "diverges" if run.diverged else f"loss {short(run.losses[0])} → {short(run.late_loss)}"
            line = f"{WITHOUT if kind == PLAIN else name(kind)}, η = {settings.rate:g}: {end}"
            known = run.lambda_max[np.isfinite(run.lambda_max)]
            if known.size:
                line += f"; λ_max {short(float(known[0]))} → {short(float(known[-1]))}"
            lines.append(line + ".")
        return "\n".join(lines)

    def reached(self, result: NormalizationRun, settings: NormalizationSettings) -> bool | None:
        if result.chosen is None:
            return None
        deep = self.make_model is not None or settings.depth >= 12
        return deep and result.chosen.late_loss < GOAL_LOSS


def deep_net(depth: int) -> nn.Sequential:
    """64 inputs, ``depth`` hidden layers of 32 ReLU units, ten logits, with torch's own initialization.

    Example
    -------
    >>> len([layer for layer in deep_net(3) if isinstance(layer, nn.Linear)])
    4
    """
    layers: list[nn.Module] = []
    for inputs in (64, *[WIDTH] * (depth - 1)):
        layers += [nn.Linear(inputs, WIDTH), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(WIDTH, 10))
