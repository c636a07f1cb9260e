"""The loss over a plane: coordinates, prices, known points, pictures that improve."""

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


@pytest.mark.parametrize("tol", [None, 0.01])
def test_cells_that_are_not_finite_stay_so(tol):
    obj = of(lambda w: torch.log(w[0]) + w[1] ** 2, [0.5, 0.0])
    plane = dk.loss_plane(obj, torch.eye(2), resolution=21, tol=tol)
    w0 = 0.5 + plane.a
    exact = np.log(np.maximum(w0, 1e-300))[:, None] + plane.b[None, :] ** 2
    bad = w0 < -1e-9
    assert np.isnan(plane.loss[bad]).all()
    assert plane.evaluated[bad].all()
    good, seen = (w0 > 1e-9)[:, None], plane.evaluated
    np.testing.assert_allclose(plane.loss[good & seen], exact[good & seen], rtol=1e-12)
    low, high = plane.scale.low, plane.scale.high
    assert np.abs(plane.loss - exact)[good & ~seen].max(initial=0.0) <= 0.01 * (high - low)
    assert plane.summary()["not_finite"] >= bad.sum() * 21


def test_each_picture_is_better_than_the_one_before():
    obj = digits_objective(examples=150)
    pictures = list(dk.refine_loss_plane(obj, resolution=33, tol=0.003))
    assert len(pictures) > 2
    assert [picture.complete for picture in pictures] == [False] * (len(pictures) - 1) + [True]
    passes = [picture.num_evals for picture in pictures]
    assert passes == sorted(set(passes))
    assert passes == [picture.evaluated.sum() for picture in pictures]
    last = dk.loss_plane(obj, resolution=33, tol=0.003)
    np.testing.assert_array_equal(pictures[-1].loss, last.loss)
    assert "complete" not in repr(last)
    assert "complete" in repr(pictures[0])


def test_a_stopped_plane_keeps_what_it_has():
    obj = digits_objective(examples=150)
    pictures = dk.refine_loss_plane(obj, resolution=33, tol=0.003)
    first = next(pictures)
    with dk.watching(budget=0.0):
        second = next(pictures)
    assert list(pictures) == []
    assert not second.complete
    np.testing.assert_array_equal(second.loss, first.loss)
    with dk.watching(budget=0.0):
        nothing = dk.loss_plane(obj, resolution=33)
    assert np.isnan(nothing.loss).all()
    assert np.isnan(nothing.max_error)
    assert not nothing.complete


def test_passes_are_counted_once_whoever_else_measures_meanwhile():
    obj = digits_objective(examples=40)
    spent = 0
    for picture in dk.refine_loss_plane(obj, "eigenvectors", resolution=21):
        obj.loss()
        obj.hvp(obj.theta)
        spent = picture.num_evals
    assert spent == picture.evaluated.sum()
    alone = dk.loss_plane(obj, "eigenvectors", resolution=21)
    assert (alone.num_evals, alone.num_hvps) == (picture.num_evals, picture.num_hvps)


def test_known_points_carry_their_losses():
    obj = digits_objective(examples=60)
    second, third = obj.theta + randn(2, 1210, seed=4) / 20
    plane = dk.loss_plane(obj, to=(second, third), resolution=15)
    assert [mark.name for mark in plane.marks] == ["second", "third"]
    for mark, theta in zip(plane.marks, (second, third), strict=True):
        assert mark.loss == pytest.approx(obj.loss(theta), rel=1e-9)
        assert plane.a[0] < mark.a < plane.a[-1]
        assert plane.b[0] < mark.b < plane.b[-1]
    assert plane.num_evals == plane.evaluated.sum() + 2


def test_the_barrier_in_the_plane_is_that_of_the_line():
    """L = (w0^2 - 1)^2 + w1^2 has minima at -1 and 1 and a barrier of 1 between them."""
    obj = of(lambda w: (w[0, 0] ** 2 - 1) ** 2 + w[0, 1] ** 2, [[-1.0, 0.0]])
    plane = dk.loss_plane(obj, to=[1.0, 0.0], resolution=31)
    low, high = plane.barrier.interval
    assert low <= 1.0 <= high
    assert plane.barrier.height == pytest.approx(1.0, abs=0.02)
    assert plane.barrier.at == pytest.approx(0.5, abs=0.03)
    assert plane.summary()["barrier"] == plane.barrier.height
    assert dk.loss_plane(obj, torch.eye(2), resolution=9).barrier is None


def test_several_processes_see_the_same_surface():
    obj = digits_objective(examples=40)
    one, two = (dk.loss_plane(obj, resolution=11, n_jobs=n) for n in (1, 2))
    np.testing.assert_allclose(two.loss, one.loss, rtol=1e-12)
    np.testing.assert_array_equal(two.evaluated, one.evaluated)
    assert one.num_evals == two.num_evals


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


def test_normalization_layers_are_not_perturbed():
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    obj = dk.Objective(model, nn.CrossEntropyLoss(), (randn(9, 4), torch.arange(9) % 2))
    assert np.isfinite(dk.loss_plane(obj, resolution=9).loss).all()


def test_tables():
    obj = of(lambda w: w[0] + 10 * w[1], [0.0, 0.0])
    frame = dk.loss_plane(obj, torch.eye(2), resolution=3).to_frame()
    np.testing.assert_allclose(frame.loss, frame.a + 10 * frame.b, atol=1e-12)
