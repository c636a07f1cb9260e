"""Noise added to the gradient: how it is annealed, what it does for a start at zero and for a good one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from diagkit.clinic import digits
from diagkit.errors import InputError
from diagkit.experiments import EscapeTask, NoiseEscapeStudy, noise_escape_study
from diagkit.objective import check_count, check_positive, check_seed
from diagkit.plots import draw_noise_annealing, draw_noise_escape
from diagkit.plots.style import note, short
from diagkit.training import noise_annealing
from diagkit.training.annealing import check_level
from diagkit.widgets import controls
from diagkit.widgets.canvas import Canvas
from diagkit.widgets.panel import Panel
from diagkit.widgets.screen import Screen
from diagkit.work import interrupted

LEVELS = (0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 2.0, 3.0, 5.0, 10.0)
DECAYS = (0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0)
SMALL = EscapeTask(depth=4, width=16, lr=0.2, steps=150)
EXAMPLES = 400
FEW, RUNS = 4, 20  # of each arm: a first look, and what a rate of success takes
MOST_SEEDS = 1000
LAST_SEED = 2**31
GOAL_RATE = 0.9
SIGMAS = (1e-3, 30.0)  # on the axis, so that another c is another picture
SIZE = (10.8, 5.2)  # inches
# Edges in fractions of the figure, given so that nothing moves when numbers change.
FRAME = {"left": 0.08, "right": 0.985, "bottom": 0.27, "top": 0.91, "wspace": 0.24}
ALT = "The level of the noise over the steps; the training accuracy of every run in four arms"
NAMES = {"zero": "Start at zero", "He": "He's start"}


@dataclass(frozen=True)
class NoiseSettings:
    """Noise of standard deviation c / (1 + t)^r in step t; how many runs in each arm, and their seeds.

    Raises
    ------
    InputError : c that is not positive, r below 0, no runs.
    """

    c: float = SMALL.c
    r: float = SMALL.r
    runs: int = RUNS
    seed: int = 0

    def __post_init__(self) -> None:
        check_positive("c", self.c, write="0.3: the arms without noise are there anyway")
        check_level(self.c, self.r)
        check_count("runs", self.runs)
        check_seed(self.seed)
        if self.runs > MOST_SEEDS:
            raise InputError(f"runs = {self.runs}", allowed=f"at most {MOST_SEEDS}")

    @property
    def seeds(self) -> range:
        """Of the runs: another seed of the panel shares none of them."""
        first = MOST_SEEDS * self.seed % LAST_SEED
        return range(first, first + self.runs)


class NoisePanel(Panel[NoiseSettings, NoiseEscapeStudy]):
    """How much noise, and how fast it dies: does it get a network away from zero, and at what price?

    The annealing is drawn at once. A few runs of each arm follow, then all of them.

    Parameters
    ----------
    data : (X [N, ...], labels 0 .. K-1 [N]); 400 digits if None.
    task : the network and its training; its c and r are the first ones.
    runs : of each arm; claims are judged from 20 on.

    Attributes
    ----------
    result : the NoiseEscapeStudy for the present settings.

    Raises
    ------
    InputError : see :class:`NoiseSettings` and :func:`diagkit.noise_escape_study`.
    """

    def __init__(
        self,
        data: tuple[Tensor, Tensor] | None = None,
        task: EscapeTask = SMALL,
        *,
        c: float | None = None,
        r: float | None = None,
        runs: int = RUNS,
        seed: int = 0,
    ) -> None:
        settings = NoiseSettings(task.c if c is None else c, task.r if r is None else r, runs, seed)
        if data is None:
            X, y = digits()
            data = X[:EXAMPLES], y[:EXAMPLES]
        self.data, self.task = data, task
        screen = Screen()
        self.canvas = Canvas(screen, size=SIZE, alt=ALT)
        made = {
            "c": controls.scale("level c", LEVELS, settings.c, "of the first step, in units of the gradient"),
            "r": controls.scale("decay r", DECAYS, settings.r, "0: the noise stays as it is"),
            "seed": controls.seed(seed),
        }
        goal = (
            f"find c and r with which at least {GOAL_RATE:.0%} of the runs from zero succeed, while a good "
            "start loses nothing (equivalence shown, in successes and in accuracy)."
        )
        super().__init__(screen, settings, controls=made, view=[self.canvas.widget], live=True, goal=goal)
        for name in made:
            self.controls[name].observe(screen.on_main(self._anneal), "value")
        self.draw(None, settings)

    def results(self, settings: NoiseSettings) -> Iterator[NoiseEscapeStudy]:
        task = replace(self.task, c=settings.c, r=settings.r)
        best: NoiseEscapeStudy | None = None
        for count in sorted({min(FEW, settings.runs), settings.runs}):
            study = noise_escape_study(self.data, task, seeds=settings.seeds[:count])
            if study.complete or best is None:
                best = study
                yield best
            if interrupted():
                yield replace(best, complete=False)
                return

    def draw(self, result: NoiseEscapeStudy | None, settings: NoiseSettings) -> None:
        with self.canvas.redrawn() as figure:
            curve, arms = figure.subplots(1, 2, width_ratios=(1.0, 1.6), gridspec_kw=FRAME)
            curve.set_title(f"σ = {settings.c:g} / (1 + t)^{settings.r:g}")
            curve.set_ylabel("noise σ (loss / parameter)")
            draw_noise_annealing(noise_annealing(settings.c, settings.r, self.task.steps), curve, span=SIGMAS)
            if result is None:
                arms.set_axis_off()
                note(arms, 0.5, 0.5, f"four arms of {settings.runs} runs:\nno result yet")
            else:
                draw_noise_escape(result, arms)

    def words(self, result: NoiseEscapeStudy, settings: NoiseSettings) -> str:
        last = short(float(noise_annealing(settings.c, settings.r, self.task.steps).sigma[-1]), 2)
        lines = [f"σ falls from {settings.c:g} to {last} in {self.task.steps} steps."]
        if settings.r == 0:
            lines = [f"σ stays at {settings.c:g} for {self.task.steps} steps."]
        for start, name in NAMES.items():
            said = [_successes(result, start, noise) for noise in (False, True)]
            lines.append(f"{name}: without noise {said[0]}; with noise {said[1]}.")
        if len(result.sweep.grid.seeds) == settings.runs:
            lines += [f"{one.claim[0].upper()}{one.claim[1:]}: {one.verdict}." for one in result.verdicts]
        return "\n".join(lines)

    def reached(self, result: NoiseEscapeStudy, settings: NoiseSettings) -> bool | None:
        if not result.complete or result.verdicts[0].count < RUNS:
            return None
        same = [one.verdict == "reproduced" for one in result.verdicts if one.expects == "no difference"]
        return result.rate("zero", True).value >= GOAL_RATE and all(same)

    def _anneal(self, change: Any) -> None:
        """A control was moved by hand to what is not known yet: the curve can be drawn at once."""
        if not self._writing and self.runs.get(self.settings) is None:
            self.draw(None, self.settings)
            self.numbers.value = ""


def _successes(result: NoiseEscapeStudy, start: str, noise: bool) -> str:
    """Of one arm, in words."""
    if not result.has(start, noise):
        return "not run"
    rate, lost = result.rate(start, noise), int(result.diverged_runs(start, noise).sum())
    low, high = rate.limits()
    diverged = f", {lost} diverged" if lost else ""
    return f"{rate.successes} of {rate.runs} ({low:.0%} to {high:.0%}){diverged}"
