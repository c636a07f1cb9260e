"""The panel of losses: one network and one bad start, trained with four losses at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from diagkit.clinic.digits import digits
from diagkit.errors import InputError
from diagkit.experiments.label_losses import OPTIMIZERS, LabelLosses, LabelLossTask, label_loss_stages
from diagkit.plots.label_losses import draw_label_losses, draw_start_gradient, draw_start_loss
from diagkit.plots.style import short
from diagkit.widgets import controls
from diagkit.widgets.canvas import Canvas
from diagkit.widgets.panel import Panel
from diagkit.widgets.screen import Screen

HEAD_STARTS = (0.0, 2.0, 5.0, 8.0, 10.0, 15.0, 20.0)
RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
EXAMPLES = 400
STUCK, BAD_START, GOOD = "squared, probabilities", 10.0, 0.9
GOAL = f"leave b = {BAD_START:g}, and bring “{STUCK}” above {GOOD:.0%}."
SIZE = (10.5, 5.6)
FRAME = {"left": 0.085, "right": 0.985, "bottom": 0.25, "top": 0.93, "wspace": 0.25, "hspace": 0.1}
ALT = "Accuracy of four losses while training; loss and gradient before training over the head start b"


@dataclass(frozen=True)
class LabelLossSettings:
    """What a run depends on: see :class:`diagkit.experiments.label_losses.LabelLossTask`.

    Raises
    ------
    InputError : an unknown optimizer, a rate or a head start out of range.
    """

    head_start: float = BAD_START
    optimizer: str = "SGD"
    rate: float = 0.3
    steps: int = 150
    seed: int = 0

    def __post_init__(self) -> None:
        self.task()

    def task(self) -> LabelLossTask:
        return LabelLossTask(self.head_start, self.optimizer, self.rate, self.steps)


def small_net() -> nn.Module:
    """64-16-10 with ReLU, for the digits."""
    return nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))


class LabelLossPanel(Panel[LabelLossSettings, LabelLosses]):
    """Which loss gets a network out of a start at which it is sure and wrong?

    Parameters
    ----------
    make_model : returns a new network with one output for each class; a small one for the digits if None.
    data : (X, labels 0 .. K-1); 400 digits if None.
    head_start, optimizer, rate, steps, seed : the settings at first.

    Attributes
    ----------
    settings : frozen; changed by the controls. result : the LabelLosses for the present settings.

    Raises
    ------
    InputError : a model without data or data without a model; see :class:`LabelLossSettings`.
    """

    def __init__(
        self,
        make_model: Callable[[], nn.Module] | None = None,
        data: tuple[Tensor, Tensor] | None = None,
        *,
        head_start: float = BAD_START,
        optimizer: str = "SGD",
        rate: float = 0.3,
        steps: int = 150,
        seed: int = 0,
    ) -> None:
        if (make_model is None) != (data is None):
            raise InputError(
                "a model without data, or data without a model",
                allowed="both, or neither for the digits",
                write="LabelLossPanel(make_model, (X, y))",
            )
        self.make_model = make_model or small_net
        self.data = digits_part() if data is None else data
        settings = LabelLossSettings(head_start, optimizer, rate, steps, seed)
        screen = Screen()
        self.canvas = Canvas(screen, size=SIZE, alt=ALT)
        self.canvas.on_click(self._clicked)
        super().__init__(
            screen,
            settings,
            controls={
                "head_start": controls.scale("head start b", HEAD_STARTS, head_start),
                "rate": controls.scale("rate η", RATES, rate),
                "optimizer": controls.choice("optimizer", list(OPTIMIZERS), optimizer),
                "seed": controls.seed(seed),
            },
            view=[self.canvas.widget],
            live=True,
            goal=GOAL,
        )

    def results(self, settings: LabelLossSettings) -> Iterator[LabelLosses]:
        yield from label_loss_stages(self.make_model, self.data, settings.task(), seeds=[settings.seed])

    def draw(self, result: LabelLosses | None, settings: LabelLossSettings) -> None:
        if result is None:
            return
        with self.canvas.redrawn() as figure:
            grid = figure.add_gridspec(2, 2, width_ratios=(1.25, 1.0), **FRAME)
            draw_label_losses(result, figure.add_subplot(grid[:, 0]))
            self._right = [figure.add_subplot(grid[row, 1]) for row in (0, 1)]
            draw_start_loss(result, self._right[0])
            draw_start_gradient(result, self._right[1])
            self._right[0].tick_params(labelbottom=False)  # the same b as below
            for ax in self._right:
                ax.yaxis.set_label_coords(-0.175, 0.5)

    def words(self, result: LabelLosses, settings: LabelLossSettings) -> str:
        ends = [
            f"{name}: {'diverged' if rows[0, -1] != rows[0, -1] else f'{rows[0, -1]:.1%}'}"
            for name, rows in result.accuracy.items()
        ]
        at = int(abs(result.head_starts - settings.head_start).argmin())
        starts = [
            f"{name} {short(norms[min(at, len(norms) - 1)], 2)}"
            for name, norms in result.start_gradient.items()
        ]
        trained = f"Training accuracy after {settings.steps} steps - {'; '.join(ends)}." if ends else ""
        return "\n".join(filter(None, [trained, f"Gradient norm at the start - {'; '.join(starts)}."]))

    def reached(self, result: LabelLosses, settings: LabelLossSettings) -> bool | None:
        if STUCK not in result.accuracy:
            return None
        return bool(settings.head_start >= BAD_START and result.final(STUCK)[0] > GOOD)

    def _clicked(self, ax: Any, x: float, y: float) -> None:
        """A click on a curve over b chooses the head start there."""
        if ax in getattr(self, "_right", ()):
            self.change(head_start=min(HEAD_STARTS, key=lambda b: abs(b - x)))


def digits_part() -> tuple[Tensor, Tensor]:
    """The first 400 digits."""
    X, y = digits()
    return X[:EXAMPLES], y[:EXAMPLES]
