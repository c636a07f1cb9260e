"""The diagnosis panel: choose a patient, run, watch, stop, read the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import ipywidgets as widgets

from diagkit import clinic
from diagkit.diagnosis import Report, diagnose
from diagkit.errors import InputError
from diagkit.widgets.app import Job, Screen

Arguments = Mapping[str, Any]  # what dk.diagnose takes, by name
FEW = 6  # patients, for each of which there is room for a button
INVITATION = "Press Run: the diagnosis takes a few seconds."


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


class DiagnosisPanel:
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
        self.settings = DiagnosisSettings(patient or next(iter(self.patients)), budget, seed)
        self._reports: dict[DiagnosisSettings, Report] = {}
        self._pages: dict[Report, str] = {}  # the HTML of those reports, drawn once
        self._question = ""
        self._job: Job | None = None
        self.screen = Screen()
        # In a list, JupyterLab takes arrow keys and letters for its own: "r" would turn the cell into text.
        choices = widgets.ToggleButtons if len(self.patients) <= FEW else widgets.Dropdown
        self.choice = choices(options=list(self.patients), value=self.settings.patient, description="patient")
        self.run_button = widgets.Button(description="Run", icon="play", button_style="primary")
        self.stop_button = widgets.Button(description="Stop", icon="stop", disabled=True)
        self.bar = widgets.IntProgress(min=0, max=1, layout=widgets.Layout(width="12em"))
        self.status = widgets.Label(INVITATION)
        self.view = widgets.HTML()
        self.choice.observe(self.screen.on_main(self._choose), "value")
        self.run_button.on_click(self.screen.on_main(lambda _: self.start()))
        self.stop_button.on_click(self.screen.on_main(lambda _: self.stop()))
        controls = widgets.HBox([self.run_button, self.stop_button, self.bar, self.status])
        self.widget = widgets.VBox([self.choice, controls, self.screen.errors, self.view])

    @property
    def result(self) -> Report:
        """The report for the present settings."""
        self._join()
        return self._reports[self.settings] if self.settings in self._reports else self.run()

    def run(self) -> Report:
        """Diagnose now, in this thread, and show the report."""
        self._join()
        self.screen.clear()
        settings = self.settings
        report = self._diagnose(settings)
        self._keep(settings, report)
        self._show()
        return report

    def start(self) -> Job:
        """Diagnose in the background, as the Run button does."""
        if self._job is not None and self._job.is_running:
            return self._job
        settings = self.settings
        self.screen.clear()
        self.bar.value, self._question = 0, ""
        # Run stays enabled, or the keyboard would lose its place; a second press does nothing.
        self.stop_button.disabled, self.choice.disabled = False, True
        self.status.value = "getting ready ..."

        def work() -> Report:
            report = self._diagnose(settings)
            self._keep(settings, report)
            return report

        self._job = Job(self.screen, work, on_progress=self._progress, on_end=self._end)
        return self._job.start()

    def stop(self) -> None:
        """End the diagnosis early; the report of what was found by then is marked partial."""
        if self._job is not None and self._job.is_running:
            self._job.stop()
            self.status.value = "stopping ..."

    def _join(self) -> None:
        """Let a running job end; an interrupt of the waiting cell stops the job, too."""
        if self._job is not None and self._job.is_running:
            try:
                self._job.wait()
            except KeyboardInterrupt:
                self.stop()
                raise

    def _keep(self, settings: DiagnosisSettings, report: Report) -> None:
        if settings in self._reports:
            self._pages.pop(self._reports[settings], None)
        self._reports[settings] = report

    def _diagnose(self, settings: DiagnosisSettings) -> Report:
        arguments = dict(self.patients[settings.patient]())
        return diagnose(**arguments, budget=settings.budget, seed=settings.seed)

    def _choose(self, change: Any) -> None:
        self.settings = replace(self.settings, patient=change["new"])
        self.screen.clear()
        self._show()

    def _progress(self, what: str, done: int, total: int) -> None:
        if self._job is None or self._job.stop_event.is_set():
            return  # a late message does not cover "stopping ..."
        if what == "questions":  # the ladder moves the bar, everything below it only says what it does
            self.bar.max, self.bar.value = max(total, 1), done
            self._question = f"question {done + 1} of {total}" if done < total else "last pictures"
            self.status.value = self._question
        else:
            self.status.value = f"{self._question}: {what}" if self._question else f"getting ready: {what}"

    def _end(self, report: Report | None, error: BaseException | None) -> None:
        if self._job is not None and self._job.is_running:
            return  # this was the end of an earlier job
        self.stop_button.disabled, self.choice.disabled = True, False
        if error is None:
            self.status.value = "drawing the report ..."
            self._show()
        else:
            self._show()
            self.status.value = "stopped by an error"
            self.screen.show(error)

    def _show(self) -> None:
        """The report of the present settings, if there is one."""
        report = self._reports.get(self.settings)
        if report is None:
            self.view.value, self.bar.value, self.status.value = "", 0, INVITATION
            return
        if report not in self._pages:
            self._pages[report] = report.to_html()
        self.view.value = self._pages[report]
        self.bar.value = self.bar.max
        self.status.value = "done" if report.complete else "partial: ended early"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        return self.widget._repr_mimebundle_(**options)
