"""The diagnosis panel: choose a patient, run, watch, stop, read the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import ipywidgets as widgets

from diagkit import clinic
from diagkit.diagnosis import Report, diagnose
from diagkit.errors import InputError
from diagkit.widgets import controls
from diagkit.widgets.panel import Panel
from diagkit.widgets.screen import Screen

Arguments = Mapping[str, Any]  # what dk.diagnose takes, by name


@dataclass(frozen=True)
class DiagnosisSettings:
    """What a diagnosis depends on: same settings, same report."""

    patient: str
    budget: float = 60.0
    seed: int = 0


def start_patients() -> dict[str, Callable[[], Arguments]]:
    """The three patients of the first lesson."""

    def arguments(name: str) -> Arguments:
        return clinic.patient(name).arguments()

    return {name: partial(arguments, name) for name in ("zero-initialized", "rate-too-large", "healthy")}


class DiagnosisPanel(Panel[DiagnosisSettings, Report]):
    """Run ``dk.diagnose`` on one of several patients.

    Parameters
    ----------
    patients : name -> a function that returns the arguments of ``dk.diagnose`` as a dict; the three of the
        first lesson if None.
    patient : the one chosen at first. budget : seconds for a diagnosis. seed : of every random choice.

    Attributes
    ----------
    settings : frozen; changed by the controls. result : the Report for the present settings, computed on
        demand if *run* was not pressed, so that a notebook runs from top to bottom without a mouse.

    Raises
    ------
    InputError : no patients, or an unknown one.
    """

    def __init__(
        self,
        patients: Mapping[str, Callable[[], Arguments]] | None = None,
        *,
        patient: str | None = None,
        budget: float = 60.0,
        seed: int = 0,
    ) -> None:
        patients = start_patients() if patients is None else patients
        if not patients:
            raise InputError("no patients", allowed="at least one", write="{'mine': lambda: {...}}")
        if patient is not None and patient not in patients:
            raise InputError(f"patient={patient!r}", allowed=f"one of {list(patients)}")
        self.patients = dict(patients)
        settings = DiagnosisSettings(patient or next(iter(self.patients)), budget, seed)
        self._pages: dict[Report, str] = {}  # the HTML of reports, drawn once
        self.view = widgets.HTML()
        choice = controls.choice("patient", list(self.patients), settings.patient)
        super().__init__(Screen(), settings, controls={"patient": choice}, view=[self.view])

    def results(self, settings: DiagnosisSettings) -> Iterator[Report]:
        arguments = dict(self.patients[settings.patient]())
        yield diagnose(**arguments, budget=settings.budget, seed=settings.seed)

    def draw(self, report: Report | None, settings: DiagnosisSettings) -> None:
        if report is not None and report not in self._pages:
            self._pages[report] = report.to_html()
        self.view.value = "" if report is None else self._pages[report]

    def words(self, report: Report, settings: DiagnosisSettings) -> str:
        return ""  # the report is made of words

    def cost(self, settings: DiagnosisSettings) -> str:
        return "the diagnosis takes a few seconds"
