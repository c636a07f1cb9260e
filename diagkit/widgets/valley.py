"""A valley to descend: the way over the surface, the loss and the curvature against its limit, together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from matplotlib.axes import Axes

from diagkit import clinic
from diagkit.errors import InputError
from diagkit.measure import PlaneSlice, loss_plane, refine_loss_plane
from diagkit.objective import Objective, check_count, check_positive
from diagkit.plots import draw_descent_map, draw_descent_path
from diagkit.plots.style import TEXT, short
from diagkit.training import DescentPath, descent_stages
from diagkit.widgets import controls
from diagkit.widgets.canvas import Canvas
from diagkit.widgets.panel import Panel
from diagkit.widgets.screen import Screen

BETA = 0.9
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "SGD": torch.optim.SGD,
    "momentum": partial(torch.optim.SGD, momentum=BETA),
    "RMSprop": torch.optim.RMSprop,
    "Adam": torch.optim.Adam,
}
DIGITS = ("1", "1.5", "2", "3", "5", "7")
RATES = tuple(float(f"{digit}e{power}") for power in (-3, -2, -1, 0) for digit in DIGITS)
RESOLUTION = 61  # of the surface
SIZE = (9.6, 4.7)  # inches
# Edges in fractions of the figure, given so that nothing moves when numbers change.
FRAME = {"left": 0.075, "right": 0.985, "bottom": 0.135, "top": 0.905, "wspace": 0.24, "hspace": 0.12}


@dataclass(frozen=True)
class ValleySettings:
    """What a descent depends on: same settings, same path.

    Raises
    ------
    InputError : an unknown optimizer, a rate that is not positive, a start that is not finite, no steps.
    """

    valley: str
    optimizer: str = "SGD"
    rate: float = 0.02
    w1: float = 0.0
    w2: float = 0.0
    steps: int = 40

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise InputError(f"optimizer={self.optimizer!r}", allowed=f"one of {list(OPTIMIZERS)}")
        check_positive("rate", self.rate, write="0.1")
        check_count("steps", self.steps, write="40")
        if not (math.isfinite(self.w1) and math.isfinite(self.w2)):
            raise InputError(f"a start at ({self.w1}, {self.w2})", allowed="two finite numbers")


class ValleyPanel(Panel[ValleySettings, DescentPath]):
    """Descend a valley: choose function, optimizer and rate; click where to start, or type w1 and w2.

    Parameters
    ----------
    valleys : one Valley of ``dk.clinic.valley(name)`` or ``valley_through(model, loss_fn, data)``, or
        several; None for all of the clinic's. The models stay as they are.
    valley, optimizer, rate : the ones at first. start : (w1, w2), that of the valley if None.
    target : the loss to reach within ``steps`` steps.

    Attributes
    ----------
    result : the DescentPath for the present settings.

    Raises
    ------
    InputError : no valleys, one with another number of parameters than two, bad settings.
    """

    def __init__(
        self,
        valleys: Any = None,
        *,
        valley: str | None = None,
        optimizer: str = "SGD",
        rate: float = 0.02,
        start: tuple[float, float] | None = None,
        steps: int = 40,
        target: float = 1e-3,
    ) -> None:
        self.valleys = _by_name(valleys)
        check_positive("target", target, write="1e-3")
        chosen = next(iter(self.valleys)) if valley is None else valley
        if chosen not in self.valleys:
            raise InputError(f"valley={valley!r}", allowed=f"one of {list(self.valleys)}")
        self.aim = target
        self.objectives = {name: one.objective() for name, one in self.valleys.items()}
        for name, obj in self.objectives.items():
            if obj.num_params != 2:
                raise InputError(f"{name} with {obj.num_params} parameters", allowed="two")
        self._planes: dict[str, PlaneSlice] = {}
        screen = Screen()
        self.canvas = Canvas(screen, size=SIZE, alt="a valley, the loss and the curvature")
        self.canvas.on_click(self._clicked)
        w1, w2 = self.valleys[chosen].start if start is None else start
        settings = ValleySettings(chosen, optimizer, rate, float(w1), float(w2), steps)
        choice = controls.choice("valley", list(self.valleys), chosen)
        choice.observe(screen.on_main(self._to_the_start), "value")
        made = {"valley": choice} if len(self.valleys) > 1 else {}
        made |= {
            "optimizer": controls.choice("optimizer", list(OPTIMIZERS), optimizer),
            "rate": controls.scale("rate η", RATES, rate, "length of a step per unit of gradient"),
            "w1": controls.number("start w₁", settings.w1),
            "w2": controls.number("start w₂", settings.w2),
        }
        goal = f"reach a loss below {target:g} within {steps} steps."
        super().__init__(screen, settings, controls=made, view=[self.canvas.widget], live=True, goal=goal)

    def results(self, settings: ValleySettings) -> Iterator[DescentPath]:
        name, obj = settings.valley, self.objectives[settings.valley]
        make = partial(OPTIMIZERS[settings.optimizer], lr=settings.rate)
        if name not in self._planes:
            self._planes[name] = next(refine_loss_plane(*self._window(name), **self._size(name)))
        for path in descent_stages(obj, make, start=[settings.w1, settings.w2], steps=settings.steps):
            yield path
        if not self._planes[name].complete:
            # Where a pass costs little, all cells cost less than to decide which of them are needed.
            plane = loss_plane(*self._window(name), **self._size(name), tol=None)
            if plane.complete:
                self._planes[name] = plane
                yield path

    def draw(self, path: DescentPath | None, settings: ValleySettings) -> None:
        if path is None:
            return  # a live panel keeps its last picture
        valley = self.valleys[settings.valley]
        with self.canvas.redrawn() as figure:
            grid = figure.add_gridspec(2, 2, width_ratios=(1.0, 1.0), **FRAME)
            self._map = figure.add_subplot(grid[:, 0])
            loss = figure.add_subplot(grid[0, 1])
            limit = figure.add_subplot(grid[1, 1], sharex=loss)
            draw_descent_map(self._planes[settings.valley], path, self._map, centre=valley.centre)
            draw_descent_path(path, loss, target=self.aim)
            draw_descent_path(path, limit, view="limit")
            self._map.set_title(f"$L =$ {valley.formula}", fontsize=TEXT)
            for ax in (loss, limit):
                ax.yaxis.set_label_coords(-0.13, 0.5)
                ax.set_title("")
            loss.set_xlabel("")
            loss.tick_params(labelbottom=False)

    def words(self, path: DescentPath, settings: ValleySettings) -> str:
        first, last = short(float(path.loss[0])), short(float(path.loss[-1]))
        steps = f"{path.steps} step{'' if path.steps == 1 else 's'}"
        lines = [f"{settings.optimizer}, η = {settings.rate:g}, {steps}: loss {first} → {last}"]
        there = path.steps_to(self.aim)
        if not math.isfinite(float(path.loss[-1])):
            lines[0] = f"{settings.optimizer}, η = {settings.rate:g}: loss {first} → beyond all numbers"
        if path.diverges:
            lines[0] += ": diverges"
        elif there is not None:
            lines[0] += f", below {self.aim:g} after {there}"
        lines[0] += f", rising in {path.rises} steps." if path.rises else ", never rising."
        limit, scaled = path.rate * path.limits[-1], path.rate * path.sharpness[-1]
        if math.isfinite(float(limit)) and math.isfinite(float(scaled)):
            side = "over" if scaled > limit else "under"
            what = "preconditioned η λ_max" if path.preconditioned else "η λ_max"
            lines.append(
                f"At the end {what} = {short(float(scaled))}, {side} the limit {short(float(limit))}."
            )
        return "\n".join(lines)

    def reached(self, path: DescentPath, settings: ValleySettings) -> bool:
        return path.steps_to(self.aim) is not None

    def _clicked(self, ax: Axes, right: float, up: float) -> None:
        if ax is self._map:
            self.change(w1=round(right, 2), w2=round(up, 2))

    def _to_the_start(self, change: dict[str, Any]) -> None:
        """Another valley was chosen by hand: begin where it is worth beginning."""
        if not self._writing:
            w1, w2 = self.valleys[change["new"]].start
            self.change(valley=change["new"], w1=w1, w2=w2)

    def _window(self, name: str) -> tuple[Objective, torch.Tensor]:
        obj, centre = self.objectives[name], self.valleys[name].centre
        return obj.at(list(centre)), torch.eye(2, dtype=obj.theta.dtype)

    def _size(self, name: str) -> dict[str, Any]:
        return {"extent": self.valleys[name].extent, "resolution": RESOLUTION}


def _by_name(valleys: Any) -> dict[str, clinic.Valley]:
    if valleys is None:
        return {name: clinic.valley(name) for name in clinic.VALLEYS}
    given = [valleys] if isinstance(valleys, clinic.Valley) else list(valleys)
    strange = [one for one in given if not isinstance(one, clinic.Valley)]
    if strange or not given:
        raise InputError(
            f"valleys={valleys!r}",
            allowed="a Valley, or several",
            write="dk.clinic.valley_through(model, loss_fn, data)",
        )
    return {one.name: one for one in given}
