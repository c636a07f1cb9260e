"""Patients with faults of data, labels and loss, end to end; all of them: benchmarks/triage_score.py."""

import pytest
from torch import nn

import diagkit as dk
from diagkit.clinic.trained import mlp

PROVEN = ("labels-all-ignored", "one-class-column", "rewrapped-output", "argmax-in-the-loss")
TRIED = ("raw-columns", "sorted-by-class", "softmax-then-crossentropy", "labels-not-shifted", "rare-digit")
LOOKALIKES = ("softmax-then-log", "batch-statistics-only", "random-features", "rare-but-learned")


def diagnose(name):
    patient = dk.clinic.patient(name)
    return patient, dk.diagnose(**patient.arguments())


@pytest.mark.parametrize("name", PROVEN)
def test_what_can_be_proven_blocks_the_rest(name):
    patient, report = diagnose(name)
    assert report.cause == patient.cause
    assert report.top.certainty == "proven"
    assert report.top.remedy
    assert not report.place


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TRIED, *LOOKALIKES])
def test_faults_are_named_and_lookalikes_let_go(name):
    patient, report = diagnose(name)
    assert patient.accepts(report.cause), report.headline


@pytest.mark.usefixtures("short_trials")
def test_validation_data_are_used_and_asked_for():
    X, y = dk.clinic.table("iris")
    model = mlp(4, 8, 3)
    without = dk.diagnose(model, nn.CrossEntropyLoss(), (X[::2], y[::2]), budget=5)
    assert any("val_data=... is needed" in text for text in without.not_seen)
    val = (X[1::2], y[1::2])
    given = dk.diagnose(model, nn.CrossEntropyLoss(), (X[::2], y[::2]), val_data=val, budget=5)
    assert not any("val_data" in text for text in given.not_seen)
    assert "train-val-mismatch" in [finding.cause for finding in given.findings]
