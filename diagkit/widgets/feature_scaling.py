"""The panel of scalings: columns, valley and loss curve, before and after."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from torch import Tensor, nn

from diagkit.clinic.tables import CLASSES, columns, table
from diagkit.errors import InputError
from diagkit.experiments.scaled_inputs import PLAIN, ScaledInputs, ScalingTask, scaled_input_stages
from diagkit.experiments.scaling_run import RATES
from diagkit.plots.scaled_inputs import draw_columns, draw_pair_valley, draw_scaled_inputs, rough
from diagkit.plots.style import look, short
from diagkit.training.feature_scaling import SCALINGS
from diagkit.widgets import controls
from diagkit.widgets.canvas import Canvas
from diagkit.widgets.panel import Panel
from diagkit.widgets.screen import Screen

TARGETS = {"diabetes": 0.5, "wine": 0.2, "breast_cancer": 0.15}  # name of a table -> loss to reach
GOAL_STEPS = 50
MAX_STEPS = 200
SIZE = (10.8, 6.0)  # inches
# Edges in fractions of the figure, given so that nothing moves when numbers change.
FRAME = {"left": 0.12, "right": 0.985, "bottom": 0.1, "top": 0.94, "hspace": 0.5}
WIDTHS = (1.0, 1.0, 0.06, 1.25)  # before, after, a gap, the loss
ALT = "Columns and the valley of two weights, before and after scaling; loss over the steps"


@dataclass(frozen=True)
class ScalingSettings:
    """What a run depends on: see :class:`diagkit.experiments.scaled_inputs.ScalingTask`.

    Raises
    ------
    InputError : an unknown kind or rule.
    """

    table: str
    kind: str = PLAIN
    rule: str = "1/lambda_max"
    seed: int = 0

    def __post_init__(self) -> None:
        ScalingTask(self.kind, self.rule)


@dataclass(frozen=True)
class Case:
    """A table and what is fitted to it."""

    make_model: Callable[[], nn.Module]
    loss_fn: Callable[..., Tensor]
    data: tuple[Tensor, Tensor]
    target: float
    names: tuple[str, ...] | None = None


class ScalingPanel(Panel[ScalingSettings, ScaledInputs]):
    """How does scaling the inputs change the valley, and the steps to a given loss?

    Parameters
    ----------
    make_model, loss_fn, data, target : your own task, data (X [N, d], y) and the loss to reach; a linear
        model on three tables in their own units if None. names : of your columns.
    kind, rule, seed, table : the settings at first.

    Attributes
    ----------
    settings : frozen; changed by the controls. result : the ScaledInputs for the present settings.

    Raises
    ------
    InputError : a part of a task without the rest; see :class:`ScalingSettings`.
    """

    def __init__(
        self,
        make_model: Callable[[], nn.Module] | None = None,
        loss_fn: Callable[..., Tensor] | None = None,
        data: tuple[Tensor, Tensor] | None = None,
        target: float | None = None,
        *,
        names: tuple[str, ...] | None = None,
        table: str | None = None,
        kind: str = PLAIN,
        rule: str = "1/lambda_max",
        seed: int = 0,
    ) -> None:
        self.cases = _cases(make_model, loss_fn, data, target, names)
        chosen = next(iter(self.cases)) if table is None else table
        if chosen not in self.cases:
            raise InputError(f"table={table!r}", allowed=f"one of {list(self.cases)}")
        settings = ScalingSettings(chosen, kind, rule, seed)
        screen = Screen()
        self.canvas = Canvas(screen, size=SIZE, alt=ALT)
        self._drawn: tuple[str, int] | None = None  # table and seed of the left column
        tables = [(name.replace("_", " "), name) for name in self.cases]
        made = {"table": controls.choice("table", tables, chosen)} if len(self.cases) > 1 else {}
        made |= {
            "kind": controls.choice("scaling", list(SCALINGS), kind),
            "rule": controls.choice("rate rule", _rules(), rule),
            "seed": controls.seed(seed),
        }
        super().__init__(
            screen,
            settings,
            controls=made,
            view=[self.canvas.widget],
            live=True,
            goal=f"without Adam, reach the dotted loss within {GOAL_STEPS} steps.",
        )

    def results(self, settings: ScalingSettings) -> Iterator[ScaledInputs]:
        case = self.cases[settings.table]
        task = ScalingTask(settings.kind, settings.rule, case.target, max_steps=MAX_STEPS)
        yield from scaled_input_stages(
            case.make_model, case.loss_fn, case.data, task, names=case.names, seed=settings.seed
        )

    def draw(self, result: ScaledInputs | None, settings: ScalingSettings) -> None:
        if result is None:
            return  # a live panel keeps its last picture
        raw = settings.table, settings.seed
        if self._drawn == raw:  # the left column is the same
            with look():
                for ax in self.canvas.figure.axes[2:]:
                    ax.remove()
                self._draw_scaled(result)
            self.canvas.refresh()
            return
        self._drawn = raw
        with self.canvas.redrawn() as figure:
            self._grid = figure.add_gridspec(1, 4, width_ratios=WIDTHS, wspace=0.2, **FRAME)
            self._draw_side(result, 0, "before")
            self._draw_scaled(result)

    def _draw_scaled(self, result: ScaledInputs) -> None:
        """All but the left column."""
        for ax in self._draw_side(result, 1, "after"):
            ax.tick_params(labelleft=False)  # the same rows and weights as on the left
            ax.set_ylabel("")
        place = self._grid[3].subgridspec(2, 1, height_ratios=(6, 1), hspace=0.02)[0]
        _still(draw_scaled_inputs(result, self.canvas.figure.add_subplot(place)).ax)

    def _draw_side(self, result: ScaledInputs, column: int, side: str) -> list[Axes]:
        rows = self._grid[column].subgridspec(2, 1, hspace=FRAME["hspace"], height_ratios=(1, 1.25))
        axes = [self.canvas.figure.add_subplot(row) for row in (rows[0], rows[1])]
        for draw, ax in zip((draw_columns, draw_pair_valley), axes, strict=True):
            draw(result, ax, side=side)
            _still(ax)
        return axes

    def words(self, result: ScaledInputs, settings: ScalingSettings) -> str:
        lines = [_run_in_words(result, kind) for kind in result.runs]
        scaling = result.scaling
        conditions = f"Condition number of XᵀX/n: {rough(scaling.condition_before)}"
        if settings.kind != PLAIN:
            conditions += f" before, {rough(scaling.condition_after)} after scaling"
        return "\n".join([*lines, conditions + "."])

    def reached(self, result: ScaledInputs, settings: ScalingSettings) -> bool | None:
        if settings.kind not in result.runs:
            return None
        steps = result.steps()
        return settings.rule != "Adam" and steps is not None and steps <= GOAL_STEPS


def _still(ax: Axes) -> None:
    """A title with a place that need not be sought at every draw."""
    ax.set_title(ax.get_title(), y=1.02)


def _run_in_words(result: ScaledInputs, kind: str) -> str:
    name = "Raw columns" if kind == PLAIN else f"“{kind}”"
    rate = f"η = {short(float(result.runs[kind].scalars['lr']))}"  # type: ignore[arg-type]
    steps, losses, target = result.steps(kind), result.losses(kind), result.task.target
    if steps is not None:
        return f"{name}, {rate}: loss {target:g} after {steps} steps."
    if result.diverges(kind):
        return f"{name}, {rate}: diverges."
    last, steps_made = short(float(losses[-1])), result.task.max_steps
    return f"{name}, {rate}: loss {last} after {steps_made} steps, {target:g} not reached."


def _rules() -> list[tuple[str, str]]:
    names = {"fixed": "η = 0.1", "1/lambda_max": "η = 1/λ_max", "Adam": "Adam, η = 0.01"}
    return [(names[rule], rule) for rule in RATES]


def _cases(make_model: Any, loss_fn: Any, data: Any, target: Any, names: Any) -> Mapping[str, Case]:
    given = [part is not None for part in (make_model, loss_fn, data, target)]
    if not any(given):
        return {name: _table_case(name) for name in TARGETS}
    if not all(given):
        raise InputError(
            "a part of a task",
            allowed="make_model, loss_fn, data and target together, or none of them",
            write="ScalingPanel(make_model, loss_fn, (X, y), target=0.1)",
        )
    return {"yours": Case(make_model, loss_fn, data, float(target), names)}


def _table_case(name: str) -> Case:
    X, y = table(name, raw=True)
    outputs = CLASSES.get(name, 1)
    loss_fn = nn.CrossEntropyLoss() if name in CLASSES else nn.MSELoss()
    return Case(partial(linear_model, X.shape[1], outputs), loss_fn, (X, y), TARGETS[name], columns(name))


def linear_model(inputs: int, outputs: int) -> nn.Linear:
    """A linear model that starts near zero, so that large raw inputs do not decide the first loss."""
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.bias)
    return layer
