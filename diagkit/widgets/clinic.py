"""The clinic: a run whose cause is hidden, measurements at a price, a diagnosis, and then the report."""

from __future__ import annotations

import html
import random
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import ipywidgets as widgets

from diagkit import clinic
from diagkit.diagnosis import ORDERS, Consultation, Consulted, Report
from diagkit.diagnosis.consultation import POINTS, check_orders
from diagkit.errors import InputError
from diagkit.objective import check_seed
from diagkit.plots import draw, draw_answer, draw_words
from diagkit.widgets import controls
from diagkit.widgets.canvas import Canvas
from diagkit.widgets.clinic_controls import LABEL, Diagnosis, Orders
from diagkit.widgets.panel import Panel
from diagkit.widgets.screen import Screen
from diagkit.work import interrupted

# Quick to build and to examine, three of them with the same curve; the letters are dealt by the seed.
PATIENTS = (
    "dead-after-a-jump", "sgd-crawls", "deep-sigmoid", "frozen-body", "rate-too-large", "short-run",
    "momentum-hovers", "noise-learned-by-heart",
)  # fmt: skip
CAUSES = (
    "dead-units", "vanishing-gradients", "symmetric-initialization", "parameters-not-trained",
    "learning-rate-too-small", "learning-rate-too-large", "noise-floor", "overfitting", "model-too-small",
    "healthy",
)  # fmt: skip
AIM = 4  # points
SIZE = (10.4, 4.8)  # inches
# Edges in fractions of the figure: to find them anew takes half of the time of a drawing.
FRAME = {"left": 0.07, "right": 0.95, "bottom": 0.25, "top": 0.83, "wspace": 0.26}


@dataclass(frozen=True)
class ClinicSettings:
    """What is seen of a patient depends on what was ordered, and the report on a diagnosis.

    Attributes
    ----------
    patient : a letter, or a name of your own. ordered : measurements; the last one is shown. guess : the
        diagnosis, final; the report needs one.

    Raises
    ------
    InputError : an unknown or a double order, more than the points pay for, an unknown cause.
    """

    patient: str
    ordered: tuple[str, ...] = ()
    guess: str | None = None
    seed: int = 0
    causes: tuple[str, ...] = CAUSES

    def __post_init__(self) -> None:
        check_orders(self.ordered)
        check_seed(self.seed)
        if self.guess is not None and self.guess not in self.causes:
            raise InputError(f"guess={self.guess!r}", allowed=f"one of {list(self.causes)}")


class ClinicPanel(Panel[ClinicSettings, Consultation]):
    """Name the cause with as few measurements as possible; the report opens after the diagnosis.

    Parameters
    ----------
    patients : names of ``dk.clinic``, dealt to letters by the seed; or your own runs, name -> a function that
        returns the arguments of ``dk.diagnose`` as a dict. Eight of the clinic's if None.
    patient : the one at first. ordered : measurements already paid for. causes : to choose from.
    seed : deals the letters, and is the patients' own.

    Attributes
    ----------
    result : the Consultation for the present settings; without a diagnosis it holds no cause.

    Raises
    ------
    InputError : no patients, or an unknown one; no causes.
    """

    def __init__(
        self,
        patients: Mapping[str, Callable[[], Mapping[str, Any]]] | Sequence[str] | None = None,
        *,
        patient: str | None = None,
        ordered: Sequence[str] = (),
        causes: Sequence[str] = CAUSES,
        seed: int = 0,
    ) -> None:
        given = PATIENTS if patients is None else patients
        if not given or not causes:
            raise InputError("no patients" if causes else "no causes", allowed="at least one")
        self.own = dict(given) if isinstance(given, Mapping) else None
        self.known = () if self.own is not None else tuple(given)
        unknown = [name for name in self.known if name not in clinic.patients()]
        if unknown:
            raise InputError(f"patient {unknown[0]!r}", allowed="names of dk.clinic.patients()")
        letters = list(self.own) if self.own is not None else [chr(65 + i) for i in range(len(self.known))]
        chosen = letters[0] if patient is None else patient
        if chosen not in letters:
            raise InputError(f"patient={patient!r}", allowed=f"one of {letters}")
        self._consulted: dict[tuple[str, int], Consulted] = {}
        self._sheets: dict[tuple[str, int], tuple[tuple[str, ...], str | None]] = {}
        self._pages: dict[Report, str] = {}  # the HTML of reports, drawn once
        screen = Screen()
        self.canvas = Canvas(screen, size=SIZE, alt="the log of the run and the measurement shown")
        self.card, self.page = widgets.HTML(), widgets.HTML()
        who = widgets.ToggleButtons(options=letters, value=chosen, layout=widgets.Layout(width="auto"))
        who.style.button_width = "auto"
        orders = Orders(
            {name: one.price for name, one in ORDERS.items()},
            POINTS,
            {name: one.question for name, one in ORDERS.items()},
        )
        number = controls.seed(seed)
        for control, name in ((who, "patient"), (number, "seed")):
            control.observe(screen.on_main(partial(self._turn_to, name)), "value")
        named = Diagnosis(causes)
        named.observe(lambda change: setattr(orders, "closed", change["new"] is not None), "value")
        made = {"patient": who, "seed": number, "ordered": orders, "guess": named}
        settings = ClinicSettings(chosen, tuple(ordered), None, seed, tuple(causes))
        controls.put(orders, settings.ordered)
        goal = f"name the cause of the patient’s trouble, and spend at most {AIM} of {POINTS} points on it."
        super().__init__(
            screen, settings, controls=made, view=[self.card, self.canvas.widget], live=True, goal=goal
        )
        self.widget.children = (*self.widget.children, self.page)
        row = self.widget.children[1]  # of the controls
        row.children = (widgets.Label("patient", layout=LABEL), *row.children)
        self._announce()

    def results(self, settings: ClinicSettings) -> Iterator[Consultation]:
        place = settings.patient, settings.seed
        if place not in self._consulted:
            self._consulted[place] = Consulted(self._build(settings), seed=settings.seed)
        try:
            yield from self._consulted[place].stages(settings.ordered, settings.guess)
        finally:
            if interrupted():  # half a measurement is not kept as a whole one
                self._consulted.pop(place, None)

    def _build(self, settings: ClinicSettings) -> Any:
        if self.own is not None:
            return self.own[settings.patient]()
        dealt = random.Random(settings.seed).sample(self.known, len(self.known))
        return clinic.patient(dealt[ord(settings.patient) - 65], settings.seed)

    def key(self, settings: ClinicSettings) -> Hashable:
        return settings.patient, frozenset(settings.ordered), settings.guess, settings.seed

    def draw(self, result: Consultation | None, settings: ClinicSettings) -> None:
        if result is None:
            return  # a live panel keeps its last picture
        answers = {answer.order: answer for answer in result.answers}
        last = settings.ordered[-1] if settings.ordered else ""
        self.card.value = f"<b>Patient {settings.patient}</b>: {html.escape(result.card)}"
        with self.canvas.redrawn() as figure:
            left, right = figure.subplots(1, 2, width_ratios=(1.0, 1.5), gridspec_kw=FRAME)
            left.set_title(f"Patient {settings.patient}: the log")
            draw(result, left)
            draw_answer(answers.get(last), right, waiting=last)
        if result.report is not None and result.report not in self._pages:
            self._pages[result.report] = result.report.to_html()
        self.page.value = "" if result.report is None else self._pages[result.report]

    def words(self, result: Consultation, settings: ClinicSettings) -> str:
        lines = [
            f"{answer.order} ({ORDERS[answer.order].price}): {answer.words}" for answer in result.answers
        ]
        if result.guess is None:
            return "\n".join([*lines, f"{result.spent} of {result.budget} points spent, no diagnosis yet."])
        verdict = "right" if result.right else f"not so: it is {result.cause}"
        lines.append(f"Diagnosis after {result.spent} points: {result.guess}: {verdict}.")
        if result.report is not None and result.report.cause != result.cause:
            lines.append(f"The report says {result.report.cause}.")
        if result.would_tell is not None:
            price = ORDERS[result.would_tell].price
            lines.append(f"“{result.would_tell}” ({price}) shows this cause by itself.")
        else:
            lines.append("No order shows this by itself: the log does, or several together.")
        lines.append(self._score(settings.seed))
        return "\n".join(lines)

    def reached(self, result: Consultation, settings: ClinicSettings) -> bool | None:
        return None if result.guess is None else bool(result.right) and result.spent <= AIM

    def _score(self, seed: int) -> str:
        """Over all patients of this seed who were diagnosed."""
        sheets = {**self._sheets, (self.settings.patient, self.settings.seed): self._sheet()}
        kept = [
            self.runs.get(ClinicSettings(letter, ordered, guess, seed, self.settings.causes))
            for (letter, dealt), (ordered, guess) in sheets.items()
            if dealt == seed and guess is not None
        ]
        seen = [one.result for one in kept if one is not None]
        right = sum(bool(one.right) for one in seen)
        return f"So far: {right} of {len(seen)} right, for {sum(one.spent for one in seen)} points."

    def _sheet(self) -> tuple[tuple[str, ...], str | None]:
        return self.settings.ordered, self.settings.guess

    def _turn_to(self, name: str, change: dict[str, Any]) -> None:
        """Another patient was chosen by hand: with what was ordered for this one before."""
        if self._writing:
            return
        self._sheets[self.settings.patient, self.settings.seed] = self._sheet()
        where = {"patient": self.settings.patient, "seed": self.settings.seed, name: change["new"]}
        ordered, guess = self._sheets.get((where["patient"], where["seed"]), ((), None))
        self.change(**where, ordered=ordered, guess=guess)
        if self.runs.get(self.settings) is None:
            self._announce()

    def _announce(self) -> None:
        """The run takes a moment to be made: the picture of the last one must not stand for it."""
        self.card.value = self.page.value = ""
        with self.canvas.redrawn() as figure:
            draw_words(f"Patient {self.settings.patient}", "The run is being fetched …", figure.subplots())
