"""The plane of a trajectory: what it explains beside a random walk, and what contours leave out."""

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.measure.surface import principal
from diagkit.measure.surface.principal import principal_axes, random_walk_shares
from diagkit.work import watching
from oracles import (
    NO_DATA,
    FunctionOfParameters,
    digits_objective,
    mean_output,
    quadratic,
    randn,
    symmetric_matrix,
)


def walk(n, P, seed=0):
    return randn(n, P, seed=seed).cumsum(dim=0)


@pytest.mark.parametrize("block", [7, 1 << 22])
@pytest.mark.parametrize(("n", "P"), [(5, 40), (30, 12)])
def test_components_against_the_singular_value_decomposition(n, P, block, monkeypatch):
    monkeypatch.setattr(principal, "CHUNK", block)
    points = walk(n, P) + 100
    axes, shares = principal_axes(points)
    centred = points - points.mean(dim=0)
    _, s, vh = torch.linalg.svd(centred, full_matrices=False)
    expected = (s**2 / (s**2).sum()).numpy()[: n - 1]
    np.testing.assert_allclose(shares[: len(expected)], expected, atol=1e-12)
    for axis, exact in zip(axes, vh, strict=False):
        assert abs(float(axis @ exact)) == pytest.approx(1.0, rel=1e-9)
    torch.testing.assert_close(axes @ axes.T, torch.eye(2, dtype=torch.float64))
    path = (points - points[-1]) @ axes.T
    assert path[path[:, 0].abs().argmax(), 0] < 0 < path[path[:, 1].abs().argmax(), 1]


@pytest.mark.parametrize("n", [3, 10, 60])
def test_the_null_is_the_spectrum_of_the_centred_walk(n):
    steps = np.tril(np.ones((n, n)))
    centre = np.eye(n) - 1 / n
    values = np.linalg.eigvalsh(centre @ steps @ steps.T @ centre)[::-1][: n - 1]
    np.testing.assert_allclose(random_walk_shares(n), values / values.sum(), rtol=1e-9)
    assert random_walk_shares(n).sum() == pytest.approx(1.0)


def test_the_null_of_long_walks_is_76_percent():
    assert random_walk_shares(10**5)[:2].sum() == pytest.approx(7.5 / np.pi**2, rel=1e-6)


@pytest.mark.parametrize("n", [5, 40])
def test_the_null_by_simulation(n):
    """Mean over walks against the limit, whose bias is below 0.4 / P."""
    P, walks = 400, 100
    seen = np.array([principal_axes(walk(n, P, seed))[1][:2] for seed in range(walks)])
    sem = seen.std(axis=0, ddof=1) / np.sqrt(walks)
    assert (np.abs(seen.mean(axis=0) - random_walk_shares(n)[:2]) < 4 * sem + 1 / P).all()
    assert sem.max() < 0.01


def test_a_random_walk_explains_what_the_null_says():
    obj = digits_objective(examples=30)
    found = dk.trajectory_plane(obj, walk(20, 1210) / 1e3 + obj.theta)
    np.testing.assert_allclose(found.explained, found.explained_by_random_walk, atol=0.05)
    assert found.explained_together == found.explained.sum()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_points_of_a_plane_are_explained_and_found_in_it(dtype):
    obj = digits_objective(dtype, examples=60)
    d1, d2 = randn(2, 1210, seed=1).to(dtype) / 30
    weights = randn(6, 2, seed=2).to(dtype)
    thetas = obj.theta + weights @ torch.stack([d1, d2])
    found = dk.trajectory_plane(obj, thetas)
    assert found.explained_together == pytest.approx(1.0, abs=1e-6)
    rounding = 100 * torch.finfo(dtype).eps
    np.testing.assert_allclose(found.distance, 0.0, atol=rounding * 10)
    expected = np.array([obj.loss(theta) for theta in thetas])
    np.testing.assert_array_equal(found.loss_on_path, expected)
    np.testing.assert_allclose(found.loss_on_plane, expected, rtol=rounding)
    assert found.largest_difference <= rounding * expected.max()
    assert found.num_evals == 12
    moves = np.linalg.norm(np.diff(found.path, axis=0), axis=1)
    np.testing.assert_allclose(moves, thetas.diff(dim=0).norm(dim=1), rtol=1e3 * torch.finfo(dtype).eps)


def test_the_last_point_is_the_centre_with_its_true_loss():
    obj = digits_objective(examples=60)
    thetas = obj.theta + walk(8, 1210, seed=2).flip(0) / 100
    found = dk.trajectory_plane(obj, thetas)
    assert found.path[-1].tolist() == [0.0, 0.0]
    assert found.distance[-1] == 0.0
    assert found.loss_on_plane[-1] == found.loss_on_path[-1] == obj.loss(thetas[-1])
    names = {mark.name: (mark.a, mark.b) for mark in found.plane.marks}
    assert names == {"end": (0.0, 0.0), "start": tuple(found.path[0])}
    (a_low, a_high), (b_low, b_high) = found.plane.bounds
    assert (found.path > [a_low, b_low]).all()
    assert (found.path < [a_high, b_high]).all()


def test_what_the_contours_leave_out_is_known_exactly():
    """L = sum h_i w_i^2 / 2: a point at height z over the plane of axes 0 and 1 has h_2 z^2 / 2 more."""
    H = torch.diag(torch.tensor([1.0, 2.0, 50.0], dtype=torch.float64))
    obj = quadratic(H)
    thetas = torch.tensor([[-9.0, 0, 0], [-6, 4.0, 0.3], [-3, 4, -0.3], [0, 0, 0]], dtype=torch.float64)
    found = dk.trajectory_plane(obj, thetas)
    total = np.array([obj.loss(theta) for theta in thetas])
    foot = [obj.loss(found.plane.point(a, b)) for a, b in found.path]
    np.testing.assert_array_equal(found.loss_on_plane, foot)
    assert found.largest_difference == pytest.approx(np.abs(total - foot).max())
    assert found.largest_difference > 1.0
    assert found.summary()["largest_difference_on_plane"] == found.largest_difference
    offsets = thetas - torch.stack([found.plane.point(a, b) for a, b in found.path])
    np.testing.assert_allclose(found.distance, offsets.norm(dim=1), atol=1e-12)


def test_losses_that_are_known_are_not_evaluated():
    obj = digits_objective(examples=30)
    thetas = obj.theta + walk(5, 1210) / 100
    evaluated = dk.trajectory_plane(obj, thetas)
    given = dk.trajectory_plane(obj, thetas, losses=evaluated.loss_on_path)
    assert given.num_evals == 5
    np.testing.assert_array_equal(given.loss_on_path, evaluated.loss_on_path)
    np.testing.assert_array_equal(given.loss_on_plane, evaluated.loss_on_plane)
    assert evaluated.to_frame().columns.tolist() == ["a", "b", "distance", "loss", "loss_on_plane"]


def test_out_of_time():
    obj = digits_objective(examples=30)
    with watching(budget=0.0):
        found = dk.trajectory_plane(obj, obj.theta + walk(5, 1210))
    assert not found.complete
    assert np.isnan(found.loss_on_plane).all()
    assert np.isnan(found.largest_difference)
    assert "complete=no" in repr(found)


def test_a_loss_that_is_not_finite_on_the_way_stays_so():
    obj = dk.Objective(
        FunctionOfParameters(lambda w: w[0].log() + w[1:].sum(), torch.ones(3)), mean_output, NO_DATA
    )
    found = dk.trajectory_plane(obj, [[-1.0, 0, 0], [1.0, 1, 0], [2.0, 0, 0], [1.0, 0, 0]])
    np.testing.assert_array_equal(np.isnan(found.loss_on_path), [True, False, False, False])
    assert found.complete
    assert found.largest_difference < 1e-12


@pytest.mark.parametrize(
    ("thetas", "words"),
    [
        (lambda o: randn(2, 1210), "2 points; allowed: 3 or more"),
        (lambda o: 7, "thetas of type int"),
        (lambda o: randn(4, 7), r"thetas\[0\] of shape \(7,\)"),
        (lambda o: randn(4, 1210) * torch.nan, r"thetas\[0\] with NaN"),
        (
            lambda o: torch.linspace(0, 1, 5, dtype=torch.float64)[:, None] * randn(1210) + o.theta,
            "on one line",
        ),
        (lambda o: o.theta.expand(5, 1210), "on one line"),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_no_trajectory_is_refused(thetas, words, dtype):
    obj = digits_objective(dtype, examples=30)
    with pytest.raises(dk.InputError, match=words):
        dk.trajectory_plane(obj, thetas(obj))


def test_losses_of_another_length_are_refused():
    obj = quadratic(symmetric_matrix([1.0, 2.0, 3.0]))
    with pytest.raises(dk.InputError, match="2 losses for 4 points"):
        dk.trajectory_plane(obj, randn(4, 3), losses=[1.0, 2.0])


def test_a_recorded_run_is_a_trajectory():
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2)).double()
    data = randn(40, 5), torch.arange(40) % 2
    recorder = dk.TrajectoryRecorder(model, every=3)

    def sgd(parameters):
        return torch.optim.SGD(parameters, lr=0.1)

    dk.train(model, nn.CrossEntropyLoss(), data, optimizer=sgd, max_steps=20, callbacks=[recorder])
    obj = dk.Objective(model, nn.CrossEntropyLoss(), data)
    found = dk.trajectory_plane(obj, recorder)
    assert len(found.path) == len(recorder.steps)
    assert found.loss_on_plane[-1] == obj.loss()
