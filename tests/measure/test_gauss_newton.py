"""H = G + R, eigenvalue by eigenvalue, against dense matrices."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import diagkit as dk
from diagkit.work import watching
from objective.test_gauss_newton import Residual, dense_gauss_newton
from oracles import dense_hessian, digits_objective, digits_spectrum, randn, seeded


def problem(seed):
    torch.manual_seed(seed)
    model = Residual().double()
    data = 2 * randn(12, 3, seed=seed), torch.randint(2, (12,), generator=seeded(seed))
    H = dense_hessian(model, F.cross_entropy, data).numpy()
    return model, data, H, dense_gauss_newton(model, F.cross_entropy, data).numpy()


@pytest.mark.parametrize("seed", range(3))
def test_against_dense(seed):
    model, data, H, G = problem(seed)
    split = dk.gauss_newton_split(dk.Objective(model, F.cross_entropy, data), k=4, tol=1e-8, seed=seed)
    values, vectors = np.linalg.eigh(H)
    values, vectors = values[::-1][:4], vectors[:, ::-1][:, :4]
    np.testing.assert_allclose(split.hessian.values, values, rtol=1e-10)
    np.testing.assert_allclose(split.gauss_newton.values, np.linalg.eigvalsh(G)[::-1][:4], rtol=1e-10)
    rest = np.linalg.eigvalsh(H - G)
    ends = split.residual_smallest.values[0], split.residual_largest.values[0]
    np.testing.assert_allclose(ends, rest[[0, -1]], rtol=1e-8)
    shares = np.einsum("pk,pq,qk->k", vectors, G, vectors) / values
    np.testing.assert_allclose(split.shares, shares, rtol=1e-8)
    top = np.linalg.eigh(G)[1][:, ::-1][:, :4]
    assert split.overlap == pytest.approx(((vectors.T @ top) ** 2).sum() / 4, rel=1e-6)
    own = (split.hessian, split.gauss_newton, split.residual_largest)
    assert split.num_hvps == sum(part.num_hvps for part in own) + 4, "and one G v along each vector"


@pytest.mark.parametrize("seed", range(3))
def test_errors_cover_what_a_loose_tolerance_does(seed):
    model, data, *_ = problem(seed)
    obj = dk.Objective(model, F.cross_entropy, data)
    exact = dk.gauss_newton_split(obj, k=4, tol=1e-10)
    loose = dk.gauss_newton_split(obj, k=4, tol=0.1, seed=seed)
    assert (np.abs(loose.shares - exact.shares) <= loose.share_errors + exact.share_errors).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("loss_fn", [nn.MSELoss(), nn.CrossEntropyLoss()], ids=["squares", "softmax"])
def test_linear_models_have_no_residual_part(loss_fn, dtype):
    model = nn.Linear(5, 4).to(dtype)
    y = randn(30, 4, seed=1).to(dtype) if isinstance(loss_fn, nn.MSELoss) else torch.arange(30) % 4
    split = dk.gauss_newton_split(dk.Objective(model, loss_fn, (randn(30, 5).to(dtype), y)), k=3)
    np.testing.assert_allclose(split.shares, 1.0, atol=50 * torch.finfo(dtype).eps)
    for end in (split.residual_smallest, split.residual_largest):
        assert abs(end.values[0]) <= end.residuals[0]
        assert end.converged.all()
        assert abs(end.values[0]) <= end.rounding, "no sign is claimed"


def test_where_the_model_curves_and_the_loss_does_not():
    """A loss linear in the outputs: G = 0, all curvature is the model's own."""
    model, data = Residual().double(), (randn(12, 3), randn(12, 2, seed=1))
    obj = dk.Objective(model, lambda out, y: (out * y).sum(dim=1).mean(), data)
    split = dk.gauss_newton_split(obj, k=2)
    np.testing.assert_array_equal(split.gauss_newton.values, 0.0)
    np.testing.assert_array_equal(split.shares, 0.0)
    np.testing.assert_allclose(split.residual_largest.values[0], split.hessian.values[0], rtol=1e-6)


def test_on_a_trained_network_the_top_is_gauss_newton():
    split = dk.gauss_newton_split(digits_objective(torch.float32), k=3)
    np.testing.assert_allclose(split.hessian.values, digits_spectrum()[::-1][:3], rtol=1e-5)
    assert (np.abs(split.shares - 1) < 0.01).all()
    assert split.overlap > 0.99
    assert split.to_frame().shape == (3, 6)
    assert "shares" in repr(split)


def test_out_of_time():
    with watching(budget=0.0):
        split = dk.gauss_newton_split(digits_objective(torch.float32), k=1)
    assert not split.complete
    assert split.num_hvps <= 6


@pytest.mark.parametrize("k", [0, 1.5, True, 7])
def test_k_is_checked(k):
    obj = dk.Objective(nn.Linear(2, 2), nn.MSELoss(), (randn(4, 2).float(), randn(4, 2).float()))
    with pytest.raises(dk.InputError, match=r"1 <= k <= P = 6"):
        dk.gauss_newton_split(obj, k)
