"""Directions: what curvature they see on average, and what they leave alone."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import diagkit as dk
from diagkit.measure.surface.directions import downhill, filter_normalized, orthogonal_to, turn_of_gradient
from diagkit.spectral.random_vectors import on_sphere
from oracles import dense_hessian, digits_objective, quadratic, randn, symmetric_matrix

DRAWS = 2000


@pytest.fixture(scope="module")
def small():
    """A network of 35 parameters away from a critical point, and its dense Hessian."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 1)).double()
    data = randn(20, 3), randn(20, 1, seed=1)
    return dk.Objective(model, nn.MSELoss(), data), dense_hessian(model, F.mse_loss, data)


def curvatures(H, directions):
    d = torch.stack(directions)
    return torch.einsum("ni,ij,nj->n", d, H, d).numpy()


def test_random_unit_vectors_see_the_mean_curvature(small):
    """E d^T H d = tr H / P, variance 2 (||H||_F^2 - tr^2 / P) / (P (P + 2))."""
    _, H = small
    P = len(H)
    draw = on_sphere(P, torch.device("cpu"), seed=3)
    seen = curvatures(H, [next(draw) for _ in range(DRAWS)])
    trace, square = float(H.trace()), float(H.square().sum())
    variance = 2 * (square - trace**2 / P) / (P * (P + 2))
    assert abs(seen.mean() - trace / P) < 4 * np.sqrt(variance / DRAWS)
    fourth = ((seen - seen.mean()) ** 4).mean()
    assert abs(seen.var(ddof=1) - variance) < 4 * np.sqrt((fourth - variance**2) / DRAWS)


def test_filter_normalized_directions_see_the_weighted_trace(small):
    """E d^T H d = sum_f ||w_f||^2 tr(H_ff) / n_f over the rows of the weights."""
    obj, H = small
    seen = curvatures(H, [filter_normalized(obj, seed) for seed in range(DRAWS)])
    diagonal = obj.layout.split(H.diagonal())
    expected = sum(
        float((w.norm(dim=1) ** 2 * diagonal[name].sum(dim=1)).sum()) / w.shape[1]
        for name, w in obj.layout.split(obj.theta).items()
        if w.ndim == 2
    )
    z = (seen.mean() - expected) / (seen.std(ddof=1) / np.sqrt(DRAWS))
    assert abs(z) < 4
    assert abs(seen.mean() - float(H.trace()) / len(H)) > 10 * seen.std() / np.sqrt(DRAWS), (
        "a test with power"
    )


def test_filters_are_as_long_as_those_they_perturb_and_biases_stay():
    obj = digits_objective(examples=40)
    d = obj.layout.split(filter_normalized(obj))
    w = obj.layout.split(obj.theta)
    for name in w:
        if "bias" in name:
            assert not d[name].any()
        else:
            torch.testing.assert_close(d[name].norm(dim=1), w[name].norm(dim=1), rtol=1e-7, atol=1e-9)


def test_a_filter_of_a_convolution_is_normalized_as_a_whole():
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Flatten(), nn.Linear(12, 2)).double()
    obj = dk.Objective(model, nn.CrossEntropyLoss(), (randn(6, 2, 4, 4), torch.arange(6) % 2))
    d = obj.layout.split(filter_normalized(obj))["0.weight"]
    w = obj.layout.split(obj.theta)["0.weight"]
    torch.testing.assert_close(d.flatten(1).norm(dim=1), w.flatten(1).norm(dim=1), rtol=1e-7, atol=0.0)


def test_normalization_layers_are_not_perturbed():
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    obj = dk.Objective(model, nn.CrossEntropyLoss(), (randn(9, 4), torch.arange(9) % 2))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    d = obj.layout.split(filter_normalized(obj))
    assert not d["1.weight"].any()
    assert not d["1.bias"].any()
    assert np.isfinite(dk.loss_line(obj, resolution=9).loss).all()
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_downhill_is_the_unit_negative_gradient(dtype):
    obj = digits_objective(dtype, examples=60)
    d, gradient = downhill(obj), obj.gradient()
    assert d.dtype == dtype
    torch.testing.assert_close(d * gradient.norm(), -gradient)


def test_there_is_no_way_downhill_where_the_gradient_is_zero():
    obj = quadratic(symmetric_matrix([1.0, 2.0, 3.0]))
    with pytest.raises(dk.InputError, match=r"gradient that is exactly 0 .* 'eigenvectors'"):
        downhill(obj.at(torch.zeros(3, dtype=torch.float64)))


@pytest.mark.parametrize("seed", range(3))
def test_the_gradient_turns_into_the_rest_of_the_product(seed):
    H = symmetric_matrix([-1.0, 0.5, 2.0, 7.0], seed)
    obj = quadratic(H).at(randn(4, seed=seed))
    d = downhill(obj)
    turn = turn_of_gradient(obj, d)
    change = H @ d
    torch.testing.assert_close((d @ change) * d + float(turn @ change) * turn, change)
    assert float(turn @ change) > 0
    assert abs(float(d @ turn)) < 1e-12


@pytest.mark.parametrize("eigenvalue", [0, 1, 2])
def test_along_an_eigenvector_the_gradient_does_not_turn(eigenvalue):
    H = symmetric_matrix([0.01, 1.0, 5.0])
    vector = torch.linalg.eigh(H).eigenvectors[:, eigenvalue]
    assert turn_of_gradient(quadratic(H), vector) is None


def test_orthogonal_to():
    d, v = randn(50, seed=1), 1e9 * randn(50, seed=1) + randn(50, seed=2)
    rest = orthogonal_to(d, v)
    assert abs(float(rest @ d)) < 1e-12 * float(rest.norm() * d.norm())
