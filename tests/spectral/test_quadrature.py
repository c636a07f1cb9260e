"""Stochastic Lanczos quadrature against operators whose eigenvalues are known."""

import threading

import numpy as np
import pytest
import torch

from diagkit.spectral import broadened, exact_quadrature, stochastic_lanczos_quadrature
from diagkit.work import watching
from oracles import symmetric_matrix

SPECTRA = {
    "random": np.random.default_rng(1).standard_normal(150),
    "few large": np.r_[[50.0, 20.0, -10.0], np.linspace(-0.2, 0.3, 147)],
    "geometric": 2.0 ** -np.arange(150.0),
}


def quadrature(H, num_probes=10, steps=20, seed=0):
    return stochastic_lanczos_quadrature(
        lambda v: H @ v, len(H), num_probes=num_probes, steps=steps, seed=seed
    )


@pytest.mark.parametrize("name", SPECTRA)
def test_weights_sum_to_one_and_nodes_lie_inside_the_spectrum(name):
    values = SPECTRA[name]
    found = quadrature(symmetric_matrix(values), steps=60)
    np.testing.assert_allclose(found.weights.sum(axis=1), 1.0, rtol=1e-12)
    assert np.nanmin(found.nodes) >= values.min() - 1e-12 * np.abs(values).max()
    assert np.nanmax(found.nodes) <= values.max() + 1e-12 * np.abs(values).max()
    assert found.num_products <= 600


@pytest.mark.parametrize("name", SPECTRA)
def test_gauss_quadrature_is_exact_for_polynomials(name):
    """z^T H^p z for p < 2 steps, each probe by itself."""
    H = symmetric_matrix(SPECTRA[name])
    H = H / H.abs().sum(dim=0).max()
    starts = []

    def matvec(v):
        starts.append(v.clone())
        return H @ v

    found = stochastic_lanczos_quadrature(matvec, 150, num_probes=3, steps=4)
    for probe in range(3):
        z = starts[4 * probe]
        for power in range(8):
            exact = float(z @ torch.linalg.matrix_power(H, power) @ z)
            assert found.moments(power)[probe] == pytest.approx(exact, rel=1e-10, abs=1e-14)


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("power", [1, 2])
def test_moments_are_unbiased(name, power):
    values = SPECTRA[name]
    samples = quadrature(symmetric_matrix(values), num_probes=400, steps=3).moments(power)
    error = samples.mean() - (values**power).mean()
    assert abs(error) <= 4 * samples.std() / 20


@pytest.mark.parametrize("copies", [1, 50])
def test_few_distinct_values_are_found_without_ghosts(copies):
    """The space closes after as many steps as there are distinct values."""
    values = np.repeat([3.0, 1.0, -2.0], copies)
    found = quadrature(symmetric_matrix(values), num_probes=3, steps=30)
    kept = found.nodes[:, :3]
    np.testing.assert_allclose(kept, np.tile([-2.0, 1.0, 3.0], (3, 1)), atol=1e-10)
    assert np.isnan(found.nodes[:, 3:]).all()
    assert not found.weights[:, 3:].any()
    assert found.complete


def test_a_converged_end_is_not_listed_twice():
    """Without reorthogonalization copies of 50 would return within 60 steps."""
    found = quadrature(symmetric_matrix(SPECTRA["few large"]), num_probes=3, steps=60)
    assert ((found.nodes > 30).sum(axis=1) == 1).all()


def test_zero():
    found = quadrature(torch.zeros(20, 20, dtype=torch.float64), num_probes=2)
    assert found.nodes[:, 0].tolist() == [0.0, 0.0]
    assert found.num_products == 2


def test_all_eigenvalues():
    H = symmetric_matrix(SPECTRA["random"])
    found = exact_quadrature(lambda v: H @ v, 150)
    np.testing.assert_allclose(found.nodes[0], np.sort(SPECTRA["random"]), atol=1e-12)
    assert found.num_products == 150
    assert found.exact


def test_broadened_curve_integrates_to_one():
    found = quadrature(symmetric_matrix(SPECTRA["random"]))
    grid = np.linspace(-6, 6, 2001)
    curves = broadened(found, grid, sigma=0.1)
    np.testing.assert_allclose(curves.sum(axis=1) * (grid[1] - grid[0]), 1.0, atol=1e-9)


def test_out_of_time():
    H = symmetric_matrix(SPECTRA["random"])
    with watching(budget=0.0):
        assert exact_quadrature(lambda v: H @ v, 150) is None
        found = quadrature(H)
    assert not found.complete
    assert found.num_products == 1
    np.testing.assert_allclose(found.weights.sum(axis=1), [1.0])


def test_an_unfinished_probe_is_left_out():
    H, calls, stop = symmetric_matrix(SPECTRA["random"]), 0, threading.Event()

    def matvec(v):
        nonlocal calls
        calls += 1
        if calls == 25:
            stop.set()
        return H @ v

    with watching(stop=stop):
        found = stochastic_lanczos_quadrature(matvec, 150, num_probes=5, steps=10)
    assert found.nodes.shape == (2, 10)
    assert found.num_products == 25
    assert not found.complete
    full = quadrature(H, num_probes=2, steps=10)
    np.testing.assert_array_equal(found.nodes, full.nodes)
