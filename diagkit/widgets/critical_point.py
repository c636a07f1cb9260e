"""The critical point panel: which kind of place, what surrounds it, and where a step off it leads."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from diagkit.clinic.places import places as known_places
from diagkit.errors import InputError
from diagkit.measure.surroundings import DIRECTIONS, Surroundings, look_around
from diagkit.objective import Objective
from diagkit.plots import Drawn, draw_critical_point, draw_step, draw_way, move_step, move_way
from diagkit.plots.style import short
from diagkit.plots.surroundings import NAMES
from diagkit.widgets import controls
from diagkit.widgets.canvas import Canvas
from diagkit.widgets.panel import Panel
from diagkit.widgets.screen import Screen

SHOWN = ("two weights", "zero network", "trained net", "plateau", "flat saddle", "kink")
TARGET, GOAL_LOSS = "zero network", 1.9
STEP = 5  # percent of the reach, from one sample of a line to the next
VERDICT_SIZE, STEP_SIZE = (10.5, 3.0), (10.5, 5.2)
APART = "2px 2em 2px 2px"  # from one row of buttons to the next
VERDICT_ALT = "The curvatures at both ends of the spectrum, and the verdict"
STEP_ALT = "The loss around the point, and along one direction with its parabola"


@dataclass(frozen=True)
class CriticalPointSettings:
    """place : name of the point. direction : "lowest", "highest" or "random". step : in percent of the reach.

    Raises
    ------
    InputError : another direction, a step beyond the reach.
    """

    place: str
    direction: str = "lowest"
    step: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.direction not in DIRECTIONS:
            raise InputError(f"direction={self.direction!r}", allowed=f"one of {list(DIRECTIONS)}")
        if not -100 <= self.step <= 100:
            raise InputError(
                f"step={self.step!r}", allowed="-100 to 100, in percent of the reach", write="50"
            )


class CriticalPointPanel(Panel[CriticalPointSettings, Surroundings]):
    """What kind of place is this, and what does a step off it do?

    Parameters
    ----------
    obj : your own Objective, examined at its present parameters; it is not changed.
    places : instead, name -> a function of a seed that returns an Objective; those of the clinic if None.
    place, direction, step, seed : the settings at first.

    Attributes
    ----------
    settings : frozen; changed by the controls. result : the Surroundings for the present settings.

    Raises
    ------
    InputError : no places, or an unknown one; see :class:`CriticalPointSettings`.
    """

    def __init__(
        self,
        obj: Objective | None = None,
        *,
        places: Mapping[str, Callable[[int], Objective]] | None = None,
        place: str | None = None,
        direction: str = "lowest",
        step: int = 0,
        seed: int = 0,
    ) -> None:
        if obj is not None and not isinstance(obj, Objective):
            raise InputError(
                f"a {type(obj).__name__}", allowed="an Objective", write="dk.Objective(model, loss_fn, data)"
            )
        self.places = _places(obj, places)
        if not self.places:
            raise InputError("no places", allowed="at least one", write="{'mine': lambda seed: obj}")
        if place is not None and place not in self.places:
            raise InputError(f"place={place!r}", allowed=f"one of {list(self.places)}")
        settings = CriticalPointSettings(place or next(iter(self.places)), direction, step, seed)
        screen = Screen()
        # Two figures: a step redraws the lower one alone, and its layout is not sought again.
        self.verdict = Canvas(screen, size=VERDICT_SIZE, alt=VERDICT_ALT, layout="constrained")
        self.canvas = Canvas(screen, size=STEP_SIZE, alt=STEP_ALT)
        self.canvas.figure.canvas.mpl_connect("draw_event", lambda _: self._fix_layout())
        self.canvas.on_click(self._clicked)
        self._drawn: tuple[Surroundings, str, Drawn, Drawn] | None = None
        places_shown = controls.choice("place", list(self.places), settings.place)
        places_shown.layout.margin = APART
        super().__init__(
            screen,
            settings,
            controls={
                "place": places_shown,
                "direction": controls.choice("direction v", DIRECTIONS, direction),
                "step": controls.span("step t, %", -100, 100, STEP, step),
                "seed": controls.seed(seed),
            },
            view=[self.verdict.widget, self.canvas.widget],
            live=True,
            goal=_goal(self.places),
        )

    def results(self, settings: CriticalPointSettings) -> Iterator[Surroundings]:
        yield from look_around(self.places[settings.place](settings.seed), seed=settings.seed)

    def key(self, settings: CriticalPointSettings) -> Hashable:
        return settings.place, settings.seed

    def draw(self, result: Surroundings | None, settings: CriticalPointSettings) -> None:
        if result is None:
            return
        step: dict[str, Any] = {"direction": settings.direction, "share": settings.step / 100}
        if self._drawn is not None and self._drawn[0] is result:
            _, direction, line, way = self._drawn
            if direction == settings.direction:
                move_step(line, result, **step)
            else:
                line.ax.clear()
                self._drawn = result, settings.direction, draw_step(result, line.ax, **step), way
            move_way(way, result, **step)
            self.canvas.refresh()
            return
        if self._drawn is None or self._drawn[0].point is not result.point:
            with self.verdict.redrawn() as figure:
                draw_critical_point(result.point, figure.add_subplot())
        with self.canvas.redrawn() as figure:
            figure.set_layout_engine("constrained")
            left, right = figure.subplots(1, 2, gridspec_kw={"wspace": 0.12})
            way = draw_way(result, left, **step)
            line = draw_step(result, right, **step)
        self._drawn = result, settings.direction, line, way

    def words(self, result: Surroundings, settings: CriticalPointSettings) -> str:
        point = result.point
        ends = f"{short(point.smallest.values[0])} to {short(point.largest.values[0])}"
        lines = [
            f"{settings.place}: {point.verdict}. Gradient norm {short(point.gradient_norm)}, "
            f"curvatures {ends}, loss {short(point.loss, 4)}."
        ]
        step = result.step(settings.direction, settings.step / 100)
        if step is not None:
            t, foretold, loss = step
            lines.append(
                f"Step t = {short(t)} along the {NAMES[settings.direction]}: the parabola foretells "
                f"{short(foretold, 4)}, the loss is {short(loss, 4)}."
            )
        return "\n".join([*lines, point.explanation])

    def reached(self, result: Surroundings, settings: CriticalPointSettings) -> bool | None:
        step = result.step(settings.direction, settings.step / 100)
        return None if step is None else settings.place == TARGET and step[2] < GOAL_LOSS

    def _fix_layout(self) -> None:
        self.canvas.figure.set_layout_engine("none")

    def _clicked(self, ax: Any, x: float, y: float) -> None:
        """A click on the curve chooses the step there."""
        if self._drawn is not None and ax is self._drawn[2].ax:
            percent = round(100 * x / self._drawn[0].reach / STEP) * STEP
            self.change(step=max(-100, min(100, percent)))


def _places(
    obj: Objective | None, places: Mapping[str, Callable[[int], Objective]] | None
) -> dict[str, Callable[[int], Objective]]:
    if obj is not None:
        return {"your model": lambda seed: obj}
    if places is not None:
        return dict(places)
    known = known_places()
    return {name: known[name] for name in SHOWN}


def _goal(places: Mapping[str, Any]) -> str:
    if TARGET not in places:
        return ""
    return f"at the {TARGET}, find a step that brings the loss below {GOAL_LOSS}."
