"""Patients are what they say, and the exact saddles have the spectra that they claim."""

import sys

import numpy as np
import pytest
import torch

import diagkit as dk
from diagkit.clinic import patients, registry
from diagkit.diagnosis.checks import all_checks

SADDLES = {
    "two weights": lambda: dk.clinic.two_weights(2.0),
    "chain": lambda: dk.clinic.chain(4, 3.0),
    "flat saddle": lambda: dk.clinic.flat_saddle(3),
    "autoencoder": lambda: dk.clinic.autoencoder_saddle((4.0, 2.0, 1.0, 0.5), kept=(1, 2), width=3),
    "autoencoder at zero": lambda: dk.clinic.autoencoder_saddle((3.0, 1.0), kept=(), width=1),
    "autoencoder minimum": lambda: dk.clinic.autoencoder_saddle((3.0, 1.0), kept=(0,), width=1),
    "factorization": lambda: dk.clinic.factorization_at_zero((5.0, 3.0, 1.0), inner=2),
    "zero network": lambda: dk.clinic.zero_network(2),
}


@pytest.mark.parametrize("name", SADDLES)
def test_spectrum_by_the_dense_hessian(name):
    case = SADDLES[name]()
    obj = dk.Objective(*case)
    scale = max(np.abs(case.eigenvalues).max(), 1.0)
    assert obj.loss() == pytest.approx(case.loss, rel=1e-9)
    assert float(obj.gradient().norm()) <= 1e-8 * scale  # the digits are centred in float32
    found = np.linalg.eigvalsh(obj.hessian().numpy())
    assert found.shape == case.eigenvalues.shape
    assert np.abs(found - case.eigenvalues).max() <= 1e-8 * scale
    assert case.index == (case.eigenvalues < -1e-9).sum()


def test_multiplicity_of_the_zero_network():
    case = dk.clinic.zero_network(3)
    assert case.eigenvalues[-3:] == pytest.approx([0.24073] * 3, abs=1e-5)
    assert case.index == 27


def test_the_same_seed_builds_the_same_patient():
    a, b, c = (dk.clinic.patient("rate-too-large", seed) for seed in (1, 1, 2))
    assert np.array_equal(a.history.loss, b.history.loss)
    assert all(torch.equal(p, q) for p, q in zip(a.model.parameters(), b.model.parameters(), strict=True))
    assert not np.array_equal(a.history.loss, c.history.loss)


def test_building_leaves_the_random_state():
    before = torch.get_rng_state()
    dk.clinic.patient("missing-value")
    assert torch.equal(before, torch.get_rng_state())


def test_the_zero_network_did_not_move():
    zero = dk.clinic.patient("zero-initialized")
    assert all(p.abs().max() == 0 for p in zero.model.parameters())
    assert len(zero.history.loss) == 100


def test_the_list():
    halves = dk.clinic.halves()
    assert list(halves) == list(patients())
    assert min(list(halves.values()).count(h) for h in ("development", "held-out")) >= 15


def test_every_cause_has_a_patient_in_each_half():
    known = {check.cause for check in all_checks()} | {"healthy"}
    known -= {"replicas-out-of-sync"}  # shows itself only where several ranks train
    entries = registry._ENTRIES.values()
    for half in ("development", "held-out"):
        assert {entry.cause for entry in entries if entry.half == half} == known
    for entry in entries:
        assert entry.story[0].isupper()
        assert entry.story.endswith(".")


# One of each kind: building all of them is training all of them, and the benchmark does that.
FIRST = {(entry.cause, entry.half): name for name, entry in registry._ENTRIES.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", FIRST.values())
def test_patients_are_built(name):
    patient = dk.clinic.patient(name)
    assert patient.accepts(patient.cause)
    assert patient.arguments()["model"] is patient.model
    assert name in repr(patient)


def test_an_unknown_name_is_refused():
    with pytest.raises(dk.InputError, match="zero-initialized"):
        dk.clinic.patient("nobody")


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(dk.MissingPackageError, match=r"diagkit\[lab\]"):
        dk.clinic.digits()
