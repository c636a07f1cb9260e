"""Scalings against their definitions, and condition numbers with known answers."""

import numpy as np
import pytest
import torch

import diagkit as dk
from oracles import randn

KINDS = ("none", "min-max", "mean", "z-score", "unit-length")


def data(n=40, seed=0):
    return randn(n, 3, seed=seed) * torch.tensor([1.0, 50.0, 0.01]) + torch.tensor([0.0, 300.0, -2.0])


def orthonormal(n, d, seed=0):
    """[n, d], columns orthogonal to each other and to 1, mean square 1."""
    Q = torch.linalg.qr(torch.cat([torch.ones(n, 1).double(), randn(n, d, seed=seed)], dim=1))[0]
    return Q[:, 1:] * n**0.5


@pytest.mark.parametrize("seed", [0, 1])
def test_definitions(seed):
    X = data(seed=seed)
    low, high, mean = X.min(0).values, X.max(0).values, X.mean(0)
    expected = {
        "none": X,
        "min-max": (X - low) / (high - low),
        "mean": (X - mean) / (high - low),
        "z-score": (X - mean) / X.std(0, correction=0),
        "unit-length": X / X.norm(dim=0),
    }
    for kind in KINDS:
        assert torch.allclose(dk.fit_scaling(X, kind).apply(X), expected[kind], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_new_data_are_scaled_with_the_numbers_of_the_training_data(kind):
    scaling, new = dk.fit_scaling(data(), kind), data(7, seed=3)
    expected = (new - torch.as_tensor(scaling.shift)) / torch.as_tensor(scaling.scale)
    assert torch.equal(scaling.apply(new), expected)
    assert torch.allclose(scaling.inverse(scaling.apply(new)), new, rtol=1e-12)
    single = scaling.apply(new.float())
    assert single.dtype == torch.float32
    assert torch.allclose(single.double(), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("d", "rho"), [(2, 0.5), (5, 0.9), (4, 0.0)])
def test_equicorrelated_features(d, rho):
    """(1 + (d - 1) rho) / (1 - rho), whatever the units, once they are z-scores: correlation stays."""
    R = torch.full((d, d), rho, dtype=torch.float64).fill_diagonal_(1.0)
    X = orthonormal(60, d) @ torch.linalg.cholesky(R).T * torch.logspace(0, 3, d, dtype=torch.float64) + 7.0
    scaling = dk.fit_scaling(X, "z-score")
    assert scaling.condition_after == pytest.approx((1 + (d - 1) * rho) / (1 - rho), rel=1e-9)
    assert scaling.condition_before > 1e4


@pytest.mark.parametrize(("d", "mu", "sigma"), [(3, 5.0, 1.0), (6, 2.0, 0.5)])
def test_uncentred_features(d, mu, sigma):
    """1 + d mu^2 / sigma^2."""
    scaling = dk.fit_scaling(mu + sigma * orthonormal(50, d), "z-score")
    assert scaling.condition_before == pytest.approx(1 + d * mu**2 / sigma**2, rel=1e-9)
    assert scaling.condition_after == pytest.approx(1.0, rel=1e-9)


def test_condition_number_is_that_of_the_hessian_of_least_squares():
    X = data()
    model = torch.nn.Linear(3, 1, bias=False, dtype=torch.float64)
    scaling = dk.fit_scaling(X, "min-max")
    for Z, told in ((X, scaling.condition_before), (scaling.apply(X), scaling.condition_after)):
        loss = lambda out, y: ((out - y) ** 2).mean() / 2  # noqa: E731
        H = dk.Objective(model, loss, (Z, torch.zeros(len(Z), 1))).hessian()
        values = torch.linalg.eigvalsh(H)
        assert told == pytest.approx(float(values[-1] / values[0]), rel=1e-6)


def test_quantiles():
    X = data()
    scaling = dk.fit_scaling(X, "mean")
    levels = [0.05, 0.25, 0.5, 0.75, 0.95]
    assert np.allclose(scaling.quantiles_before, np.quantile(X, levels, axis=0))
    assert np.allclose(scaling.quantiles_after, np.quantile(scaling.apply(X), levels, axis=0))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_constant_features_are_not_stretched_to_noise(kind, value):
    X = data()
    X[:, 1] = value
    X[0, 1] += value * 1e-16
    scaling = dk.fit_scaling(X, kind)
    assert scaling.constant.tolist() == [False, True, False]
    Z = scaling.apply(X)
    assert bool(torch.isfinite(Z).all())
    moved = {"none": value, "unit-length": 1 / 40**0.5 if value else 0.0}
    assert torch.allclose(Z[:, 1], torch.full((40,), moved.get(kind, 0.0)).double(), rtol=1e-6)
    assert np.isfinite(scaling.condition_after)
    assert torch.allclose(scaling.inverse(Z), X)


def test_dependent_features_have_no_finite_condition_number():
    X = data()
    assert dk.fit_scaling(torch.cat([X, X[:, :1]], 1), "z-score").condition_after == float("inf")
    assert dk.fit_scaling(X[:2], "none").condition_before == float("inf")
    assert np.isnan(dk.fit_scaling(torch.ones(4, 2), "none").condition_before)


def test_integers_arrays_and_lists():
    pixels = np.array([[0, 16], [8, 0], [16, 4]], dtype=np.uint8)
    Z = dk.fit_scaling(pixels, "min-max").apply(pixels)
    assert Z.dtype == torch.float32
    assert Z.tolist() == [[0.0, 1.0], [0.5, 0.0], [1.0, 0.25]]
    frame = dk.fit_scaling(pixels.tolist(), "min-max").to_frame()
    assert frame["scale"].tolist() == [16.0, 16.0]


def test_refused():
    X = data()
    with pytest.raises(dk.InputError, match="kind='standard'; allowed: one of none, min-max"):
        dk.fit_scaling(X, "standard")
    for bad in (X[:1], X[:, :0], X[0], X[None]):
        with pytest.raises(dk.InputError, match="data of shape"):
            dk.fit_scaling(bad, "mean")
    with pytest.raises(dk.InputError, match="no numbers"):
        dk.fit_scaling([["a", "b"]], "mean")
    X[3, 1] = float("nan")
    with pytest.raises(dk.NonFiniteError, match="NaN or Inf"):
        dk.fit_scaling(X, "mean")
    with pytest.raises(dk.InputError, match=r"data of shape \(4, 2\); allowed: \[m, 3\]"):
        dk.fit_scaling(data(), "mean").apply(torch.ones(4, 2))
