"""Following eigenpairs of a matrix that changes, against its dense spectrum."""

import numpy as np
import pytest
import torch

from diagkit.spectral import follow
from diagkit.work import watching
from oracles import randn, symmetric_matrix

SPECTRUM = np.r_[10.0, 7.0, 5.0, np.linspace(-1.0, 2.0, 57)]


def path(seed, steps=6, change=0.05):
    """Symmetric matrices [60, 60], each a little different from the one before."""
    H = symmetric_matrix(SPECTRUM, seed)
    for step in range(steps):
        yield H
        E = randn(60, 60, seed=100 * seed + step)
        H = H + change * (E + E.T) / 60**0.5


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_values_stay_within_their_residuals_and_cost_less(seed, k):
    old, warm, cold = None, 0, 0
    for H in path(seed):
        found = follow(lambda v, H=H: H @ v, 60, k, old, seed=seed)
        true = np.linalg.eigvalsh(H.numpy())[::-1][:k]
        assert found.converged.all()
        assert (np.abs(found.values - true) <= found.residuals).all()
        assert (found.residuals <= 1e-2 * np.maximum(found.values, 0.1) + 1e-12).all()
        explicit = (H @ found.vectors.T - found.vectors.T * torch.as_tensor(found.values)).norm(dim=0)
        np.testing.assert_allclose(explicit, found.residuals, atol=1e-12)
        if old is not None:
            warm += found.num_products
            cold += follow(lambda v, H=H: H @ v, 60, k, seed=seed).num_products
        old = found.vectors
    assert warm < 0.9 * cold


def test_a_direction_that_overtakes_is_seen_from_the_noise():
    """Old vectors that are still exact eigenvectors have no residual that could point to it."""
    old = torch.eye(60, dtype=torch.float64)[:1]
    d = torch.as_tensor(SPECTRUM).clone()
    d[40] = 12.0
    found = follow(lambda v: d * v, 60, 1, old, tol=1e-3)
    assert found.values[0] == pytest.approx(12.0, abs=found.residuals[0])


@pytest.mark.parametrize("seed", range(3))
def test_a_closed_space_is_left(seed):
    values = torch.tensor([4.0, 4.0, 1.0, 1.0, 1.0, 0.0], dtype=torch.float64)
    found = follow(lambda v: values * v, 6, 4, tol=1e-9, seed=seed)
    assert found.num_products > 3, "one vector sees 4, 1 and 0 once each"
    assert np.abs(found.values[:, None] - [4.0, 1.0, 0.0]).min(axis=1).max() < 1e-9
    assert found.values[0] == pytest.approx(4.0)


def test_the_zero_matrix():
    found = follow(torch.zeros_like, 5, 2)
    np.testing.assert_array_equal(found.values, 0.0)
    assert found.converged.all()


def test_ceiling():
    H = symmetric_matrix(SPECTRUM)
    found = follow(lambda v: H @ v, 60, 2, tol=1e-12, max_products=5)
    assert found.num_products == 5
    assert not found.converged.any()
    assert found.complete


def test_out_of_time():
    H = symmetric_matrix(SPECTRUM)
    with watching(budget=0.0):
        found = follow(lambda v: H @ v, 60, 3)
    assert not found.complete
    assert found.num_products == 3
    assert found.values.shape == (3,)
