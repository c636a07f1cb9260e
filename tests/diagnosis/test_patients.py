"""Patients with a known cause, against the diagnosis; all of them: benchmarks/triage_score.py."""

import pytest

import diagkit as dk

START = ("zero-initialized", "rate-too-large", "healthy")
QUICK = (
    "diverged-regression",
    "root-at-zero",
    "log-of-zero",
    "missing-value",
    "steep-valley",
    "autoencoder-saddle",
    "regression-hovers",
    "regression-converged",
    "dropout-adamw",
    "cosine-finished",
    "wine-adamw",
    "bag-of-words",
)


def diagnose(name, seed=0):
    patient = dk.clinic.patient(name, seed)
    return patient, dk.diagnose(**patient.arguments())


@pytest.mark.parametrize("name", [*START, *QUICK])
def test_the_cause_is_found(name):
    patient, report = diagnose(name)
    assert patient.accepts(report.cause), report.headline
    assert report.complete


def test_the_zero_network_is_at_a_saddle_too():
    _, report = diagnose("zero-initialized")
    assert report.cause == "symmetric-initialization"
    assert [f.cause for f in report.supported][:2] == ["symmetric-initialization", "saddle-point"]
    assert report.place.verdict == "saddle"
    assert report.escape.escaped
