import threading

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import diagkit as dk
from diagkit.measure.surface.convexity import bump
from oracles import (
    NO_DATA,
    FunctionOfParameters,
    dense_hessian,
    digits,
    digits_objective,
    mean_output,
    randn,
    softmax_regression,
    symmetric_matrix,
    trained_digits_mlp,
)


def quadratic(H, start):
    """L = (1/2) (w - start)^T H (w - start) at its critical point; w is one filter."""
    start = torch.as_tensor(start, dtype=torch.float64)
    f = lambda w: 0.5 * (w[0] - start) @ H @ (w[0] - start)  # noqa: E731
    return dk.Objective(FunctionOfParameters(f, start[None]), mean_output, NO_DATA)


@pytest.mark.parametrize("seed", range(3))
def test_a_saddle_whose_random_planes_look_convex(seed):
    H = symmetric_matrix([-3.0, *np.linspace(1.0, 2.0, 39)], seed=seed)
    found = dk.random_planes(quadratic(H, 2 * np.eye(40)[0]), seed=seed, resolution=9)
    assert found.looks_convex.all(), "P(not) is below 1e-6: the curvature is 1.4 +- 0.2, in units of ||w||^2"
    assert found.negative_curvature
    assert found.lowest.values[0] == pytest.approx(-3.0, rel=1e-3)
    assert "10 of 10 random planes look convex" in found.explanation
    assert "does not imply" in found.explanation
    # All ten: the 95 % interval of Clopper and Pearson begins at (0.05 / 2)^(1 / 10).
    assert found.convex_interval == (pytest.approx(0.025**0.1), 1.0)


@pytest.mark.parametrize("seed", range(3))
def test_curvatures_against_the_exact_expectation(seed):
    H = symmetric_matrix(np.linspace(-1.0, 2.0, 30), seed=seed)
    found = dk.random_planes(quadratic(H, randn(30, seed=seed)), 20, seed=seed, resolution=3)
    norm2 = float(randn(30, seed=seed).square().sum())
    assert found.expected_curvature == pytest.approx(norm2 * float(H.trace()) / 30, rel=1e-9)
    assert abs(found.curvature - found.expected_curvature) < 5 * found.curvature_sem
    for plane, hessian in zip(found.planes, found.hessians, strict=True):
        D = torch.as_tensor(plane.directions)
        np.testing.assert_allclose(hessian, D @ H @ D.T, rtol=1e-9, atol=1e-12)
    # Of one direction Var d^T H d = norm2^2 2 (||H||_F^2 - tr^2 / n) / (n (n + 2)); 40 tell a spread to 12 %.
    n, trace, square = 30, float(H.trace()), float(H.square().sum())
    spread = norm2 * np.sqrt(2 * (square - trace**2 / n) / (n * (n + 2)))
    assert found.curvature_sem * np.sqrt(40) == pytest.approx(spread, rel=0.5)


def test_expected_curvature_of_a_network_filter_by_filter():
    obj = digits_objective(examples=150)
    X, y = digits()
    diagonal = torch.diag(dense_hessian(trained_digits_mlp(), F.cross_entropy, (X[:150], y[:150])))
    exact = 0.0
    for w, h in zip(obj.layout.split(obj.theta).values(), diagonal.split(obj.layout.sizes), strict=True):
        if w.ndim > 1:
            exact += float((w.square().sum(1) * h.view(w.shape).mean(1)).sum())
    found = dk.random_planes(obj, 5, resolution=5, tol=None)
    assert 0 < found.expected_sem < 0.1 * exact
    assert abs(found.expected_curvature - exact) < 5 * found.expected_sem
    assert abs(found.curvature - exact) < 5 * found.curvature_sem


def test_a_convex_loss_always_looks_convex():
    case = softmax_regression()
    obj = case.objective()
    found = dk.random_planes(obj.at(randn(obj.num_params)), 5, resolution=9)
    np.testing.assert_allclose(found.bumps, 0.0, atol=1e-12)
    assert found.looks_convex.all()
    assert not found.negative_curvature
    assert "no negative curvature was proven" in found.explanation


def test_a_concave_loss_never_does():
    found = dk.random_planes(quadratic(-torch.eye(5, dtype=torch.float64), np.ones(5)), 4, resolution=5)
    assert not found.looks_convex.any()
    assert found.convex_interval[0] == 0.0
    assert "0 of 4" in found.explanation


def test_planes_are_independent_and_reproducible():
    obj = digits_objective(examples=40)
    one, two, other = (dk.random_planes(obj, 3, resolution=3, seed=s) for s in (0, 0, 1))
    directions = np.concatenate([plane.directions for plane in (*one.planes, *other.planes)])
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    assert np.abs(unit @ unit.T - np.eye(len(unit))).max() < 0.3, "no direction comes twice, for no seed"
    for a, b in zip(one.planes, two.planes, strict=True):
        np.testing.assert_array_equal(a.loss, b.loss)
    np.testing.assert_array_equal(one.hessians, two.hessians)
    assert one.expected_curvature == two.expected_curvature
    first = one.planes[0]
    again = dk.loss_plane(obj, "random", resolution=3, seed=first.seed)
    np.testing.assert_array_equal(again.loss, first.loss, "each can be drawn again by its seed")
    assert one.to_frame().shape == (3, 6)


def test_a_stop_returns_the_planes_so_far():
    obj, stop = digits_objective(examples=40), threading.Event()

    def listener(what, done, total):
        if what == "random planes" and done == 2:
            stop.set()

    with dk.watching(stop=stop, listener=listener):
        found = dk.random_planes(obj, 5, resolution=3)
    assert not found.complete
    assert len(found.planes) == len(found.bumps) == len(found.hessians) == 2


def test_bumps_by_hand():
    t = np.linspace(-1, 1, 9)
    A, B = np.meshgrid(t, t, indexing="ij")
    rng = np.random.default_rng(0)
    convex = np.max([p * A + q * B + r for p, q, r in rng.normal(size=(7, 3))], axis=0)
    assert bump(convex) <= 1e-15
    for f in (-(A**2), -(B**2), A * B, -A * B):
        assert bump(f) > 0.4
    loose = A**2 + B**2
    loose[4, 4] = 0.5  # a spike; its neighbours, now the lowest, are at 1/16, the corners at 2
    assert bump(loose) == pytest.approx((0.5 - 1 / 16) / (2 - 1 / 16))
    loose[0, 0] = np.nan
    assert bump(loose) == np.inf


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"count": 0}, "count"),
        ({"resolution": 2}, "resolution"),
        ({"extent": 0}, "extent"),
        ({"tol": -1}, "tol"),
    ],
)
def test_bad_arguments(options, match):
    with pytest.raises(dk.InputError, match=match):
        dk.random_planes(digits_objective(examples=40), **options)
