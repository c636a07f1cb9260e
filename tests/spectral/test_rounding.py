"""What rounding in float32 products may and may not do to a reported eigenvalue."""

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.spectral import rounding_bound
from oracles import digits_mlp, digits_objective, digits_spectrum, half_square, randn, trained_digits_mlp


@pytest.mark.parametrize("seed", range(3))
def test_a_positive_semidefinite_hessian_has_no_proven_negative_eigenvalue(seed):
    """Naive: 174 'negative' eigenvalues of 400, down to -1.9e-7 lambda_max."""
    X, y = randn(120, 400, seed=seed).float(), randn(120, 1, seed=seed + 10).float()
    obj = dk.Objective(nn.Linear(400, 1, bias=False), half_square, (X, y))
    naive = np.linalg.eigvalsh(obj.hessian().double().numpy())
    assert (naive < 0).sum() > 50, "rounding should be visible here, or the test is void"
    pairs = dk.hessian_eigenvalues(obj, 3, which="smallest", tol=1e-6, seed=seed)
    assert (pairs.values >= -pairs.rounding).all()
    assert dk.classify_critical_point(obj, seed=seed).smallest.values[0] >= -pairs.rounding


def test_least_squares_minimum_in_float32_is_no_saddle():
    X = randn(60, 400).float()
    model = nn.Linear(400, 1, bias=False)
    target = X @ model.weight.detach().T + 0.0
    obj = dk.Objective(model, half_square, (X, target))
    assert dk.classify_critical_point(obj).verdict == "minimum-within-tolerance"
    assert not dk.escape_saddle(obj).escaped


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("trained", [True, False])
def test_float32_error_is_below_the_bound(seed, trained):
    """The constant ROUNDING, measured: float32 Lanczos against the float64 dense spectrum."""
    if trained:
        true, obj = digits_spectrum(), digits_objective(torch.float32)
    else:
        X, y = randn(200, 64, seed=9), torch.arange(200) % 10
        wide = dk.Objective(digits_mlp(), nn.CrossEntropyLoss(), (X, y), params=["2.*"])
        true = np.linalg.eigvalsh(wide.hessian().numpy())
        obj = dk.Objective(digits_mlp(torch.float32), nn.CrossEntropyLoss(), (X.float(), y), params=["2.*"])
    pairs = dk.hessian_eigenvalues(obj, 5, tol=1e-7, seed=seed)
    error = np.abs(pairs.values - true[::-1][:5]).max()
    bound = rounding_bound(torch.float32, true[-1])
    assert error <= bound / 4
    assert error <= pairs.rounding
    assert bound / 2 < pairs.rounding <= bound * 1.0001


def test_residuals_never_claim_more_than_the_dtype_allows():
    obj = digits_objective(torch.float32)
    pairs = dk.hessian_eigenvalues(obj, 2, tol=1e-7)
    assert (pairs.residuals >= pairs.rounding).all()
    assert pairs.rounding > torch.finfo(torch.float32).eps * pairs.scale


def test_the_coarsest_parameter_sets_the_bound():
    model = trained_digits_mlp()
    model[0].float()
    X, y = randn(50, 64), torch.arange(50) % 10

    def step(m, batch):
        return nn.functional.cross_entropy(m[2](m[1](m[0](batch[0].float())).double()), batch[1])

    obj = dk.Objective.from_step(model, step, [(X, y)])
    assert obj.layout.dtype == torch.float64
    pairs = dk.hessian_eigenvalues(obj, 1)
    assert pairs.rounding >= torch.finfo(torch.float32).eps * pairs.values[0]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_finds_what_its_rounding_allows(dtype, seed):
    """A remainder below the (large) rounding bound is no sign that the space has closed."""
    X, y = randn(300, 64, seed=seed), torch.arange(300) % 10
    exact = dk.Objective(
        trained_digits_mlp().to(dtype).double(), nn.CrossEntropyLoss(), (X.to(dtype).double(), y)
    )
    coarse = dk.Objective(trained_digits_mlp().to(dtype), nn.CrossEntropyLoss(), (X.to(dtype), y))
    true = dk.hessian_eigenvalues(exact, 3).values
    pairs = dk.hessian_eigenvalues(coarse, 3, seed=seed)
    assert pairs.num_hvps < 40
    assert (np.abs(pairs.values - true) <= pairs.residuals).all()
    assert abs(pairs.values[0] / true[0] - 1) < 0.05
