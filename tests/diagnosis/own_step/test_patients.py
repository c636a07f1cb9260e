"""Patients whose own loop is at fault, and loops that only look like it."""

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.diagnosis import bench, triage
from diagkit.diagnosis.checks import all_checks
from diagkit.diagnosis.own_step.mode_gap import ModeGap
from leave_no_trace import Ward, Witness

QUICK = ("cleared-by-the-log", "table-in-sixteen-bits", "eval-in-the-step", "four-small-batches")


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_the_cause_is_found(name):
    patient = dk.clinic.patient(name)
    report = dk.diagnose(**patient.arguments())
    assert patient.accepts(report.cause), report.headline


def test_a_diagnosis_with_the_step_leaves_no_trace(monkeypatch):
    monkeypatch.setattr(bench, "LENGTHS", (20,))
    few = [check for check in all_checks() if check.rung < 1.6 or check.cause == "learning-rate-too-large"]
    monkeypatch.setattr(triage, "all_checks", lambda: tuple(few))
    ward, seen = Ward(), []

    def step(batch):
        ward.optimizer.zero_grad()
        loss = ward.loss_fn(ward.model(batch[0]), batch[1])
        loss.backward()
        ward.optimizer.step()
        seen.append(loss.item())

    witness = Witness(ward)
    report = dk.diagnose(
        ward.model, ward.loss_fn, ward.loader, train_step=step, history=[1.0] * 40, budget=20
    )
    assert witness.changes() == []
    assert witness.data_order_is_kept()
    assert seen == []
    asked = {question.cause: question for question in report.questions}
    assert asked["gradients-accumulate"].verdict == "refuted"
    assert asked["learning-rate-too-large"].asked  # the optimizer was found in the step
    assert any("called 4 times" in note for note in report.notes)


def test_without_the_step_the_report_says_what_it_cannot_see():
    net = nn.Linear(3, 1)
    X = torch.randn(32, 3, generator=torch.Generator().manual_seed(0))
    report = dk.diagnose(net, nn.MSELoss(), (X, X[:, :1]), budget=5)
    asked = {question.cause: question for question in report.questions}
    for cause in ("gradients-accumulate", "gradients-discarded", "loss-scale-collapsed"):
        assert not asked[cause].asked
        assert "train_step=" in asked[cause].answer
    assert "scheduler=" in asked["schedule-misfed"].answer
    assert any("train_step=" in text for text in report.not_seen)


def test_a_step_that_cannot_be_called_is_refused():
    with pytest.raises(dk.InputError, match="train_step of type int"):
        dk.diagnose(nn.Linear(1, 1), nn.MSELoss(), (torch.ones(4, 1), torch.ones(4, 1)), train_step=3)


@pytest.mark.parametrize(
    ("training", "logged", "like"),
    [(2.0, 1.0, "evaluation"), (2.0, 2.0, "training"), (2.0, 1.5, None), (1.0, 1.0, None)],
)
def test_which_loss_was_logged(training, logged, like):
    wave = 0.05 * np.sin(np.arange(30))
    gap = ModeGap(training=training + wave, evaluation=1.0 + wave[::-1], logged=logged + wave)
    assert gap.log_is_like == like
