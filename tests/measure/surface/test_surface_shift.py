import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn

import diagkit as dk
from diagkit.measure.surface.plane_minimum import minimum_in
from diagkit.measure.surface.planes import as_plane
from oracles import (
    NO_DATA,
    FunctionOfParameters,
    digits,
    mean_output,
    randn,
    symmetric_matrix,
    trained_digits_mlp,
)


def of(f, *start):
    return dk.Objective(FunctionOfParameters(f, *start), mean_output, NO_DATA)


def bowl(H, centre, floor=0.0):
    """L = floor + (1/2) (w - centre)^T H (w - centre) at 0."""
    return of(lambda w: floor + 0.5 * (w - centre) @ H @ (w - centre), torch.zeros(len(H)))


def in_plane(D, H, centre):
    """The minimum over D^T x: (D H D^T)^-1 D H centre."""
    return torch.linalg.solve(D @ H @ D.T, D @ H @ centre).numpy()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("tol", [0.01, None])
def test_quadratics_with_a_known_shift(seed, tol):
    H = symmetric_matrix([0.5, 1.0, 2.0, 3.0, 5.0, 8.0], seed=seed)
    D, centres = randn(2, 6, seed=seed + 10), randn(2, 6, seed=seed + 20) / 5
    train, val = bowl(H, centres[0], 1.0), bowl(H, centres[1], 1.5)
    found = dk.surface_shift(train, val, directions=D, extent=2.0, resolution=11, tol=tol)
    expected = [in_plane(D, H, c) for c in centres]
    np.testing.assert_allclose(found.train_minimum.where, expected[0], atol=1e-9)
    np.testing.assert_allclose(found.val_minimum.where, expected[1], atol=1e-9)
    shift = expected[1] - expected[0]
    rise = shift @ (D @ H @ D.T).numpy() @ shift / 2
    np.testing.assert_allclose(found.shift, shift, atol=1e-9)
    assert found.verdict == "shifted"
    assert found.shift_error.max() < 1e-6
    assert found.rise == pytest.approx(rise, rel=1e-6)
    assert found.predicted_rise == pytest.approx(rise, rel=1e-6)
    assert found.gap_here == pytest.approx(val.loss() - train.loss())
    assert found.gap_at_minima == pytest.approx(found.val_minimum.loss - found.train_minimum.loss)
    np.testing.assert_allclose(found.train_minimum.hessian, D @ H @ D.T, rtol=1e-6)
    np.testing.assert_array_equal(found.train.directions, found.val.directions)
    np.testing.assert_array_equal(found.train.a, found.val.a)


def test_a_validation_surface_twice_as_steep_costs_twice_what_is_foretold():
    H, centre = symmetric_matrix([1.0, 4.0]), torch.tensor([0.3, -0.2], dtype=torch.float64)
    found = dk.surface_shift(bowl(H, 0 * centre), bowl(2 * H, centre), directions=torch.eye(2))
    assert found.rise == pytest.approx(2 * found.predicted_rise, rel=1e-6)


def test_the_flat_direction_pays_less_for_the_same_shift():
    H = torch.diag(torch.tensor([0.1, 10.0], dtype=torch.float64))
    rises = [
        dk.surface_shift(bowl(H, torch.zeros(2)), bowl(H, torch.tensor(c)), directions=torch.eye(2)).rise
        for c in ([0.3, 0.0], [0.0, 0.3])
    ]
    assert rises[1] / rises[0] == pytest.approx(100.0, rel=1e-6)


def test_the_error_of_a_minimum_covers_what_is_no_parabola():
    """Of 24 coordinates one may be missed: where the two fits happen to agree although both are off."""
    missed = 0
    for seed in range(12):
        c = randn(4, seed=seed).numpy()

        def f(w, c=c):
            x, y = w[0] - 0.13, w[1] + 0.21
            cubic = c[0] * x**3 + c[1] * x**2 * y + c[2] * x * y**2
            return x**2 + 2 * y**2 + 0.3 * cubic + x**4 + 0.1 * c[3] * x

        obj = of(f, [0.0, 0.0])
        plane = as_plane(obj, torch.eye(2))
        found = minimum_in(obj, plane, dk.loss_plane(obj, plane, resolution=11))
        truth = minimize(f, found.where, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-16})
        missed += int((np.abs(found.where - truth.x) > found.error + 1e-8).sum())
        assert found.error.max() < 0.02, "a tenth of a cell"
    assert missed <= 1


@pytest.mark.parametrize("seed", range(3))
def test_sampling_error_of_least_squares(seed):
    """Cov w = sigma^2 (X^T X)^-1; 32 groups know a variance to a quarter, and four of these are allowed."""
    X, sigma = randn(3200, 2, seed=seed) * torch.tensor([1.0, 2.0]), 0.5
    y = X.sum(1, keepdim=True) + sigma * randn(3200, 1, seed=seed + 50)
    model = nn.Linear(2, 1, bias=False).double()
    obj = dk.Objective(model, nn.MSELoss(), (X, y)).at([1.0, 1.0])
    plane = as_plane(obj, torch.eye(2))
    found = minimum_in(obj, plane, dk.loss_plane(obj, plane, resolution=11))
    exact = np.diag(sigma**2 * np.linalg.inv(X.T @ X))
    ratio = np.diag(found.sampling) / exact
    assert (ratio > 0.3).all()
    assert (ratio < 2.0).all()


def test_the_same_surface_is_not_shifted():
    X, y = digits()
    obj = dk.Objective(trained_digits_mlp(), nn.CrossEntropyLoss(), (X[:300], y[:300]))
    before = obj.meter.num_evals
    found = dk.surface_shift(obj, obj, resolution=11)
    assert found.verdict == "no shift seen"
    np.testing.assert_array_equal(found.shift, 0.0)
    assert found.rise == found.gap_here == found.predicted_rise == 0.0
    assert found.num_evals == obj.meter.num_evals - before, "one bill, not two"


@pytest.mark.parametrize("seed", range(2))
def test_training_and_validation_digits(seed):
    X, y = digits()
    train, val = (
        dk.Objective(trained_digits_mlp(torch.float32), nn.CrossEntropyLoss(), (X[part].float(), y[part]))
        for part in (slice(0, 600), slice(600, 1200))
    )
    found = dk.surface_shift(train, val, seed=seed, resolution=17)
    again = dk.surface_shift(train, val, seed=seed, resolution=17)
    np.testing.assert_array_equal(found.shift, again.shift)
    assert np.isfinite(found.shift_error).all()
    assert found.rise >= -1e-6
    d1, d2 = (torch.as_tensor(d).float() for d in found.train.directions)
    for obj, minimum in ((train, found.train_minimum), (val, found.val_minimum)):
        a, b = minimum.where
        steps = 3 * np.maximum(minimum.error, 0.01)
        around = [
            obj.loss(obj.theta + float(a + i * steps[0]) * d1 + float(b + j * steps[1]) * d2)
            for i in (-1, 0, 1)
            for j in (-1, 0, 1)
        ]
        assert minimum.loss <= min(around) + 1e-6
    assert found.to_frame().shape == (17 * 17, 4)


@pytest.mark.parametrize("f", [lambda w: w[0] + w[1] ** 2, lambda w: w[0] ** 2 - w[1] ** 2])
def test_a_minimum_on_the_border_is_undecided(f):
    train = bowl(torch.eye(2, dtype=torch.float64), torch.zeros(2))
    found = dk.surface_shift(train, of(f, [0.0, 0.0]), directions=torch.eye(2), resolution=9)
    assert found.verdict == "undecided"
    assert np.isnan(found.shift).all()
    assert "validation: the lowest loss lies on the border" in found.explanation
    assert "training:" not in found.explanation


def test_out_of_time():
    obj = bowl(torch.eye(2, dtype=torch.float64), torch.zeros(2))
    with dk.watching(budget=0.0):
        found = dk.surface_shift(obj, obj.at(obj.theta), directions=torch.eye(2))
    assert (found.verdict, found.complete) == ("undecided", False)


def test_objectives_that_do_not_belong_together():
    model, X = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2)), randn(24, 4).float()
    obj = dk.Objective(model, nn.CrossEntropyLoss(), (X, torch.arange(24) % 2))
    with pytest.raises(dk.InputError, match=r"different points.*val_obj\.at"):
        dk.surface_shift(obj, obj.at(obj.theta + 1))
    other = dk.Objective(nn.Linear(4, 2), nn.CrossEntropyLoss(), (X, torch.arange(24) % 2))
    with pytest.raises(dk.InputError, match="other names or shapes"):
        dk.surface_shift(obj, other)
    batch = dk.Objective(model, nn.CrossEntropyLoss(), (X, torch.arange(24) % 2), norm_stats="batch")
    with pytest.raises(dk.InputError, match="norm_stats"):
        dk.surface_shift(obj, batch)
    with pytest.raises(dk.InputError, match="a diagkit Objective"):
        dk.surface_shift(obj, model)
