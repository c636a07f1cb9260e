"""The diagnosis panel without a browser: settings in, report out, and a job that can be stopped."""

import asyncio
import html
import threading
import time
from dataclasses import dataclass

import pytest
import torch

import diagkit as dk
from diagkit.widgets import DiagnosisPanel, diagnosis
from diagkit.work import interrupted, progress
from panel_scenes import WAIT, settled

INVITATION = "Press Run: the diagnosis takes a few seconds."


@dataclass(frozen=True, eq=False)
class Page:
    """Stands for a report: what it was made of, and whether it is whole."""

    arguments: dict
    complete: bool = True

    def to_html(self):
        return f"<p>{html.escape(str(self.arguments))}</p>"


@pytest.fixture
def quick(monkeypatch):
    """A diagnosis that takes no time; the list of what it was asked."""
    asked = []

    def diagnose(**arguments):
        asked.append(arguments)
        return Page(arguments)

    monkeypatch.setattr(diagnosis, "diagnose", diagnose)
    return asked


class Slow:
    """A diagnosis that goes on until it is stopped or released."""

    def __init__(self):
        self.begun, self.release, self.calls, self.threads = threading.Event(), threading.Event(), 0, []

    def __call__(self, **arguments):
        self.calls += 1
        self.threads.append(threading.current_thread())
        with progress("questions", 4) as advance:
            advance(1)
            with progress("eigenvalues", 9):
                self.begun.set()
                while not (interrupted() or self.release.is_set()):
                    time.sleep(0.005)
            advance(1)
        return Page(arguments, complete=not interrupted())


@pytest.fixture
def slow(monkeypatch):
    diagnose = Slow()
    monkeypatch.setattr(diagnosis, "diagnose", diagnose)
    yield diagnose
    diagnose.release.set()


PATIENTS = {"a": lambda: {"model": "A"}, "b": lambda: {"model": "B"}}


def small_net():
    """Zero weights, no biases: the smallest network with the trouble of the first lesson."""
    X = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    model = torch.nn.Sequential(
        torch.nn.Linear(3, 4, bias=False), torch.nn.Tanh(), torch.nn.Linear(4, 1, bias=False)
    )
    for p in model.parameters():
        torch.nn.init.zeros_(p)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    return {
        "model": model,
        "loss_fn": torch.nn.MSELoss(),
        "train_data": (X, X.sum(1, keepdim=True)),
        "optimizer": sgd,
    }


def usable(panel):
    return (panel.stop_button.disabled, panel.controls["patient"].disabled) == (True, False)


def test_the_settings_come_from_the_arguments():
    panel = DiagnosisPanel(PATIENTS, patient="b", budget=7, seed=3)
    assert panel.settings == diagnosis.DiagnosisSettings("b", 7, 3)
    assert panel.controls["patient"].value == "b"
    assert panel.status.value == INVITATION
    assert usable(panel)


def test_the_three_patients_of_the_first_lesson_are_the_default():
    panel = DiagnosisPanel()
    assert panel.controls["patient"].options == ("zero-initialized", "rate-too-large", "healthy")
    assert panel.settings == diagnosis.DiagnosisSettings("zero-initialized", 60.0, 0)


@pytest.mark.parametrize(("patients", "patient"), [({}, None), (PATIENTS, "c")])
def test_bad_arguments_are_named(patients, patient):
    with pytest.raises(dk.InputError, match="allowed"):
        DiagnosisPanel(patients, patient=patient)


def test_the_result_is_made_on_demand_and_once(quick):
    panel = DiagnosisPanel(PATIENTS, budget=7, seed=3)
    assert quick == []
    report = panel.result
    assert quick == [{"model": "A", "budget": 7, "seed": 3}]
    assert panel.result is report
    assert len(quick) == 1
    assert panel.view.value == report.to_html()
    assert panel.status.value == "done"


def test_another_patient_changes_settings_and_view(quick):
    panel = DiagnosisPanel(PATIENTS)
    first = panel.run()
    panel.controls["patient"].value = "b"
    assert panel.settings.patient == "b"
    assert (panel.view.value, panel.status.value, panel.bar.value) == ("", INVITATION, 0)
    second = panel.run()
    assert "B" in panel.view.value
    panel.controls["patient"].value = "a"
    assert panel.result is first
    assert panel.view.value == first.to_html() != second.to_html()


def test_run_diagnoses_again(quick):
    panel = DiagnosisPanel(PATIENTS)
    first = panel.run()
    assert panel.run() is not first
    assert len(quick) == 2


def test_run_equals_diagnose_with_the_same_arguments():
    panel = DiagnosisPanel({"mine": small_net}, budget=30, seed=1)
    report = panel.run()
    direct = dk.diagnose(**small_net(), budget=30, seed=1)
    assert report.cause == direct.cause == "symmetric-initialization"
    assert report.summary() == direct.summary()
    assert [q.verdict for q in report.questions] == [q.verdict for q in direct.questions]
    assert "symmetric-initialization" in panel.view.value


def test_a_patient_of_the_first_lesson_is_built_when_it_is_asked_for():
    arguments = DiagnosisPanel().patients["zero-initialized"]()
    assert set(arguments) >= {"model", "loss_fn", "train_data", "optimizer", "history"}
    assert not any(p.any() for p in arguments["model"].parameters())


def test_start_works_in_the_background_and_moves_the_bar(slow):
    panel = DiagnosisPanel(PATIENTS)
    job = panel.start()
    assert slow.begun.wait(WAIT)
    assert (panel.stop_button.disabled, panel.controls["patient"].disabled) == (False, True)
    assert not panel.run_button.disabled  # the keyboard keeps its place
    assert (panel.bar.value, panel.bar.max) == (1, 4)
    assert panel.status.value == "questions: 1 of 4: eigenvalues"
    slow.release.set()
    job.wait(WAIT)
    assert usable(panel)
    assert panel.status.value == "done"
    assert panel.bar.value == panel.bar.max
    assert panel.result.complete
    assert slow.threads[0] is not threading.main_thread()


def test_a_second_run_while_running_does_nothing(slow):
    panel = DiagnosisPanel(PATIENTS)
    job = panel.start()
    assert slow.begun.wait(WAIT)
    assert panel.start() is job
    slow.release.set()
    job.wait(WAIT)
    assert slow.calls == 1
    assert panel.start() is not job
    panel.result  # noqa: B018  (waits for the second job)
    assert slow.calls == 2


def test_stop_returns_a_partial_report_at_once(slow):
    panel = DiagnosisPanel(PATIENTS)
    job = panel.start()
    assert slow.begun.wait(WAIT)
    started = time.monotonic()
    panel.stop_button.click()
    job.wait(WAIT)
    assert time.monotonic() - started < 2
    assert usable(panel)
    assert panel.status.value == "partial: ended early"
    assert not panel.result.complete


def test_stop_where_nothing_runs_does_nothing():
    panel = DiagnosisPanel(PATIENTS)
    panel.stop()
    assert panel.status.value == INVITATION


def test_the_result_waits_for_the_job(slow):
    panel = DiagnosisPanel(PATIENTS)
    panel.start()
    assert slow.begun.wait(WAIT)
    threading.Timer(0.1, slow.release.set).start()
    assert panel.result.complete
    assert slow.calls == 1


def test_an_interrupted_wait_stops_the_job(slow, monkeypatch):
    panel = DiagnosisPanel(PATIENTS)
    job = panel.start()
    assert slow.begun.wait(WAIT)

    def interrupt(timeout=None):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(job, "wait", interrupt)
        with pytest.raises(KeyboardInterrupt):
            panel.result  # noqa: B018
    job.wait(WAIT)
    assert not panel.result.complete


def test_stop_on_a_real_case_is_quick():
    panel = DiagnosisPanel(patient="healthy", budget=60)
    told = threading.Event()
    panel.bar.observe(lambda _: told.set(), "max")  # the first question is asked
    job = panel.start()
    assert told.wait(60)
    started = time.monotonic()
    panel.stop()
    job.wait(60)
    assert time.monotonic() - started < 5
    assert usable(panel)
    assert not panel.result.complete
    assert "Partial" in panel.view.value
    assert panel.status.value == "partial: ended early"


def broken():
    raise dk.InputError("<script>alert(1)</script>", allowed="a model")


def test_errors_are_raised_where_nobody_looks():
    panel = DiagnosisPanel({"broken": broken})
    with pytest.raises(dk.InputError):
        panel.run()
    with pytest.raises(dk.InputError):
        panel.start().wait(WAIT)
    assert usable(panel)
    assert panel.status.value == "stopped by an error"


def test_in_a_notebook_an_error_is_shown_and_gone_with_the_next_choice(monkeypatch, quick):
    monkeypatch.delenv("DIAGKIT_STRICT", raising=False)

    async def notebook():
        panel = DiagnosisPanel({"broken": broken, **PATIENTS})
        panel.run_button.click()
        await settled(lambda: panel.screen.errors.value)
        shown = panel.screen.errors.value
        assert usable(panel)
        assert panel.status.value == "stopped by an error"
        panel.controls["patient"].value = "a"
        assert panel.screen.errors.value == ""
        panel.run_button.click()
        await settled(lambda: panel.view.value)
        assert panel.status.value == "done"
        return shown

    shown = asyncio.run(notebook())
    assert "&lt;script&gt;" in shown
    assert "<script>" not in shown


def test_text_of_the_user_is_escaped():
    evil = "<script>alert(1)</script>"

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.add_module(evil, torch.nn.Linear(3, 1))
            for p in self.parameters():
                p.requires_grad_(False)

        def forward(self, x):
            return getattr(self, evil)(x)

    panel = DiagnosisPanel({evil: lambda: {**small_net(), "model": Net(), "optimizer": None}}, budget=10)
    panel.run()
    assert "<script" not in panel.view.value


def test_in_a_notebook_the_panel_is_drawn_on_the_main_thread(slow):
    async def notebook():
        panel, drawn = DiagnosisPanel(PATIENTS), []
        for part in (panel.view, panel.bar, panel.status):
            part.observe(lambda _: drawn.append(threading.current_thread()), "value")
        pressing = threading.Thread(target=panel.run_button.click)  # a message on a second thread
        pressing.start()
        await settled(slow.begun.is_set)
        await settled(lambda: panel.bar.value == 1)
        panel.stop_button.click()
        await settled(lambda: panel.view.value)
        pressing.join()
        assert usable(panel)
        return drawn

    assert set(asyncio.run(notebook())) == {threading.main_thread()}
    assert slow.threads[0] is not threading.main_thread()


def test_the_end_of_an_earlier_job_does_not_disturb_the_next(slow):
    async def notebook():
        panel = DiagnosisPanel(PATIENTS)
        first = panel.start()
        panel.stop()
        first.wait(WAIT)  # its end is handed to the loop, which has not run yet
        slow.begun.clear()
        second = panel.start()
        await settled(slow.begun.is_set)
        await asyncio.sleep(0.05)
        assert not panel.stop_button.disabled
        slow.release.set()
        await settled(lambda: not second.is_running and usable(panel))
        assert panel.result.complete

    asyncio.run(notebook())


def test_the_panel_shows_itself():
    bundle = DiagnosisPanel(PATIENTS)._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert "application/vnd.jupyter.widget-view+json" in data
