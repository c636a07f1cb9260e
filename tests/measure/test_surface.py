import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from oracles import NO_DATA, FunctionOfParameters, digits_objective, mean_output, randn


def of(f, *start):
    return dk.Objective(FunctionOfParameters(f, *start), mean_output, NO_DATA)


@pytest.mark.parametrize("resolution", [3, 4, 5, 6, 7, 8, 20, 21, 50, 51])
@pytest.mark.parametrize("tol", [None, 0.01])
def test_the_centre_is_theta_itself(resolution, tol):
    obj = of(lambda w: torch.sin(3 * w[0]) + w[1] ** 4 + w.prod(), [0.4, -0.3])
    plane = dk.loss_plane(obj, resolution=resolution, tol=tol, directions=torch.eye(2))
    i, j = np.flatnonzero(plane.a == 0), np.flatnonzero(plane.b == 0)
    assert len(i) == len(j) == 1
    assert plane.evaluated[i[0], j[0]]
    assert plane.loss[i[0], j[0]] == obj.loss()
    assert plane.loss.shape == (resolution, resolution)
    assert plane.num_evals == plane.evaluated.sum()
    line = dk.loss_line(obj, [1.0, 0.0], resolution=resolution)
    assert line.loss[np.flatnonzero(line.t == 0)[0]] == obj.loss()


def test_coordinates_are_true_displacements():
    obj = digits_objective(examples=40)
    plane = dk.loss_plane(obj, resolution=5, extent=0.7, tol=None)
    d1, d2 = torch.as_tensor(plane.directions)
    for i, a in enumerate(plane.a):
        for j, b in enumerate(plane.b):
            assert plane.loss[i, j] == obj.loss(obj.theta + float(a) * d1 + float(b) * d2)
    line = dk.loss_line(obj, resolution=5)
    for t, value in zip(line.t, line.loss, strict=True):
        assert value == obj.loss(obj.theta + float(t) * torch.as_tensor(line.direction))


def test_given_directions_are_used_unchanged():
    obj = digits_objective(examples=40)
    given = torch.stack([randn(1210, seed=1) * 7, randn(1210, seed=2) / 9])
    plane = dk.loss_plane(obj, given, resolution=5)
    np.testing.assert_array_equal(plane.directions, given)
    assert (plane.kind, plane.seed) == ("given", None)
    np.testing.assert_array_equal(dk.loss_line(obj, given[0], resolution=5).direction, given[0])


def test_eigenvector_directions_have_unit_length_and_their_curvature():
    obj = digits_objective(examples=100)
    plane = dk.loss_plane(obj, "eigenvectors", resolution=5)
    low, high = torch.as_tensor(plane.directions)
    assert float(low.norm()) == pytest.approx(1.0)
    assert float(high @ obj.hvp(high)) == pytest.approx(dk.hessian_eigenvalues(obj, 1).values[0], rel=1e-3)
    assert float(low @ obj.hvp(low)) < 0


def test_between_two_points():
    obj = digits_objective(examples=40)
    other = obj.theta + randn(1210) / 10
    line = dk.loss_line(obj, to=other, resolution=5)
    assert line.t.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert line.loss[0] == obj.loss()
    assert line.loss[-1] == pytest.approx(obj.loss(other), rel=1e-14)


@pytest.mark.parametrize("tol", [None, 0.01])
def test_cells_that_are_not_finite_stay_so(tol):
    obj = of(lambda w: torch.log(w[0]) + w[1] ** 2, [0.5, 0.0])
    plane = dk.loss_plane(obj, torch.eye(2), resolution=21, tol=tol)
    w0 = 0.5 + plane.a
    exact = np.log(np.maximum(w0, 1e-300))[:, None] + plane.b[None, :] ** 2
    bad = w0 < -1e-9
    assert np.isnan(plane.loss[bad]).all()
    good = w0 > 1e-9
    np.testing.assert_allclose(plane.loss[good], exact[good], rtol=1e-12)
    assert plane.evaluated.all()
    assert plane.max_error == 0.0
    assert plane.summary()["not_finite"] >= bad.sum() * 21
    line = dk.loss_line(obj, [1.0, 0.0], resolution=21)
    np.testing.assert_array_equal(np.isnan(line.loss), bad)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("tol", [0.05, 0.01])
def test_held_out_error_against_brute_force(seed, tol):
    obj = digits_objective(examples=150)
    quick = dk.loss_plane(obj, resolution=33, seed=seed, tol=tol)
    exact = dk.loss_plane(obj, resolution=33, seed=seed, tol=None)
    error = np.abs(quick.loss - exact.loss).max() / np.ptp(exact.loss)
    assert quick.num_evals < exact.num_evals == 33**2
    assert error <= quick.max_error <= tol
    np.testing.assert_array_equal(quick.loss[quick.evaluated], exact.loss[quick.evaluated])
    assert exact.max_error == 0.0


def test_same_seed_same_surface():
    obj = digits_objective(examples=40)
    one, two, other = (dk.loss_plane(obj, resolution=9, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.loss, two.loss)
    np.testing.assert_array_equal(one.directions, two.directions)
    assert (one.loss != other.loss).any()


def test_rescaling_a_relu_network_leaves_the_normalized_surface():
    """T_alpha: (w1, w2) -> (alpha w1, w2 / alpha), biases of the first layer with it."""
    obj = digits_objective(examples=60)
    before = dk.loss_plane(obj, resolution=7, tol=None)
    parts = obj.layout.split(obj.theta)
    scaled = obj.layout.join(
        [t * {"0.weight": 8.0, "0.bias": 8.0, "2.weight": 1 / 8}.get(n, 1.0) for n, t in parts.items()]
    )
    after = dk.loss_plane(obj.at(scaled), resolution=7, tol=None)
    np.testing.assert_allclose(after.loss, before.loss, rtol=1e-9)
    raw = dk.loss_plane(obj, randn(2, 1210), resolution=7, tol=None).loss
    assert (
        np.abs(dk.loss_plane(obj.at(scaled), randn(2, 1210), resolution=7, tol=None).loss - raw).max() > 0.1
    )


def test_filters_are_as_long_as_those_they_perturb_and_biases_stay():
    obj = digits_objective(examples=40)
    d = obj.layout.split(torch.as_tensor(dk.loss_line(obj, resolution=3).direction))
    w = obj.layout.split(obj.theta)
    for name in w:
        if "bias" in name:
            assert not d[name].any()
        else:
            torch.testing.assert_close(d[name].norm(dim=1), w[name].norm(dim=1), rtol=1e-7, atol=1e-9)


def test_normalization_layers_are_not_perturbed():
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    obj = dk.Objective(model, nn.CrossEntropyLoss(), (randn(9, 4), torch.arange(9) % 2))
    d = obj.layout.split(torch.as_tensor(dk.loss_line(obj, resolution=3).direction))
    assert not d["1.weight"].any()
    assert np.isfinite(dk.loss_plane(obj, resolution=9).loss).all()


def test_tables():
    obj = of(lambda w: w[0] + 10 * w[1], [0.0, 0.0])
    frame = dk.loss_plane(obj, torch.eye(2), resolution=3).to_frame()
    np.testing.assert_allclose(frame.loss, frame.a + 10 * frame.b, atol=1e-12)
    assert dk.loss_line(obj, [1.0, 0.0], resolution=3).to_frame().shape == (3, 2)
