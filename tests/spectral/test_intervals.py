"""A true eigenvalue lies in every interval: dense spectra, clusters, both dtypes."""

import numpy as np
import pytest
import torch

import diagkit as dk
from diagkit.spectral import kato_temple_intervals, lanczos, residual_intervals
from oracles import quadratic, symmetric_matrix

SPECTRA = {
    "random": np.random.default_rng(1).standard_normal(120),
    "even": np.linspace(-1, 1, 120),
    "geometric": 2.0 ** -np.arange(120.0),
    "clusters": np.r_[1 + 1e-4 * np.arange(40), -1 - 1e-7 * np.arange(40), np.linspace(-0.5, 0.5, 40)],
    "repeated": np.r_[[5.0] * 3, [-4.0] * 3, np.zeros(114)],
}
APART = np.r_[10.0, 8.0, 5.0, 3.0, np.linspace(-1, 1, 116)]


def holds(intervals, true):
    inside = (intervals[:, :1] <= true) & (true <= intervals[:, 1:])
    return inside.any(axis=1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("which", ["largest", "smallest"])
@pytest.mark.parametrize("budget", [4, 16])
@pytest.mark.parametrize("name", SPECTRA)
def test_residual_intervals_always_hold_an_eigenvalue(name, budget, which, dtype):
    H = symmetric_matrix(SPECTRA[name]).to(dtype)
    true = np.linalg.eigvalsh(H.double().numpy())
    pairs = dk.hessian_eigenvalues(quadratic(H), 3, which=which, max_hvps=budget, seed=budget)
    assert holds(pairs.intervals, true).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("which", ["largest", "smallest"])
@pytest.mark.parametrize("tol", [3e-2, 1e-4])
def test_kato_temple_where_values_are_apart(tol, which, dtype):
    H = symmetric_matrix(APART if which == "largest" else -APART).to(dtype)
    true = np.linalg.eigvalsh(H.double().numpy())
    extreme = true[::-1][:4] if which == "largest" else true[:4]
    for seed in range(3):
        pairs = dk.hessian_eigenvalues(quadratic(H), 4, which=which, tol=tol, seed=seed)
        assert np.abs(pairs.values - extreme).max() < 0.5, "all of the four are listed: the condition"
        assert holds(pairs.kato_temple, true).all()
        width, wide = (np.diff(x)[:, 0] for x in (pairs.kato_temple, pairs.intervals))
        assert (width <= wide + 1e-14).all()
        assert width[-1] == wide[-1], "the neighbour of the last value is not known"


def test_how_much_narrower():
    """A residual of 1e-3 beside a gap of 1 is an error of 1e-6."""
    narrow = kato_temple_intervals(np.array([3.0, 2.0]), np.array([1e-3, 1e-9]), 0.0, whole=False)
    assert narrow[0, 0] == 3.0
    assert narrow[0, 1] - 3.0 == pytest.approx(1e-6, rel=1e-6)
    middle = kato_temple_intervals(np.array([3.0, 2.0, 1.0]), np.array([0.1, 0.01, 0.1]), 0.0, whole=False)
    assert middle[1] == pytest.approx([2 - 1e-4 / 0.9, 2 + 1e-4 / 0.9])


def test_overlapping_neighbours_use_the_residual_alone():
    values, residuals = np.array([1.0, 0.9, 0.0]), np.array([0.08, 0.08, 0.01])
    narrow = kato_temple_intervals(values, residuals, 0.0, whole=False)
    np.testing.assert_array_equal(narrow, residual_intervals(values, residuals))


def test_the_whole_spectrum_has_no_unknown_neighbour():
    narrow = kato_temple_intervals(np.array([3.0, 1.0]), np.array([0.1, 0.1]), 0.0, whole=True)
    assert narrow[1] == pytest.approx([1 - 0.01 / 1.9, 1.0])


def test_a_value_that_was_missed_is_why_kato_temple_is_not_the_default():
    """At this tolerance one of the four is skipped: the gap beside its neighbour is not empty."""
    d = torch.as_tensor(APART)
    ends = lanczos(lambda v: d * v, 120, num_highest=4, tol=0.1, max_products=6, seed=1)
    found, residuals = ends.highest.values, ends.highest.residuals
    assert np.abs(found - APART[:4]).max() > 0.5
    assert holds(residual_intervals(found, residuals), APART).all()
    assert not holds(kato_temple_intervals(found, residuals, ends.rounding, whole=False), APART).all()


def test_a_hidden_pair_is_why_kato_temple_is_not_the_default():
    """Two eigenvalues closer than the residual look like one, and it lies where neither is."""
    values = np.r_[1.0, 1.0 - 2e-3, np.linspace(-0.2, 0.2, 118)]
    d = torch.as_tensor(values)
    outside = 0
    for seed in range(20):
        ends = lanczos(lambda v: d * v, 120, num_highest=2, tol=1e-2, max_products=7, seed=seed)
        found, residuals = ends.highest.values, ends.highest.residuals
        assert holds(residual_intervals(found, residuals), values).all()
        narrow = kato_temple_intervals(found, residuals, ends.rounding, whole=False)
        outside += not holds(narrow[:1], values)[0]
    assert outside > 0
