"""The highest loss in a box, a ball and an ellipsoid against closed forms and against trying everything."""

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

import diagkit as dk
from diagkit.work import watching
from oracles import NO_DATA, FunctionOfParameters, digits_objective, mean_output, randn, symmetric_matrix

SEEDS = range(3)
QUICK = {"num_hvps": 8, "num_random": 1}


def function(f, at):
    return dk.Objective(FunctionOfParameters(f, at), mean_output, NO_DATA)


def bowl(H, at, centre=None, slope=None):
    """(1/2)(w - c)^T H (w - c) + g.w, in float64 at ``at``."""
    centre = at if centre is None else centre
    slope = torch.zeros_like(at) if slope is None else slope
    return function(lambda w: 0.5 * (w - centre) @ H @ (w - centre) + slope @ (w - at), at)


def highest_of_quadratic_in_ball(H, g, rho):
    """max over |e| <= rho of g.e + e^T H e / 2 by the secular equation, g being nowhere 0."""
    values, vectors = np.linalg.eigh(H)
    c, top = vectors.T @ g, values[-1]
    shift = brentq(lambda m: np.linalg.norm(c / (m - values)) - rho, top + 1e-12, top + 1e6, xtol=1e-15)
    e = c / (shift - values)
    return c @ e + 0.5 * (values * e**2).sum()


@pytest.mark.parametrize("seed", SEEDS)
def test_ball_at_a_critical_point(seed):
    H = symmetric_matrix([5.0, 4.8, 2.0, 0.5, -1.0, -6.0], seed)
    found = dk.sharpness(bowl(H, randn(6, seed=seed)), rho=0.3, seed=seed, tol=1e-8, **QUICK)
    assert found.sam == pytest.approx(0.5 * 0.3**2 * 5.0, rel=1e-6)
    assert found.sam.quadratic_bound == pytest.approx(0.5 * 0.3**2 * 5.0, rel=1e-6)
    assert found.sam.first_order == pytest.approx(0.0, abs=1e-12)
    assert found.sam.second_order == pytest.approx(found.sam.value, rel=1e-9)
    assert found.sam.kind == "lower bound"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("size", [0.01, 1.0, 30.0])
def test_ball_on_a_slope(seed, size):
    H, g = symmetric_matrix([4.0, 1.0, 0.2, -2.0], seed), size * randn(4, seed=seed + 9)
    found = dk.sharpness(bowl(H, randn(4, seed=seed), slope=g), rho=0.3, seed=seed, **QUICK)
    exact = highest_of_quadratic_in_ball(H.numpy(), g.numpy(), 0.3)
    assert found.sam <= exact * (1 + 1e-9), "a lower bound"
    assert found.sam == pytest.approx(exact, rel=1e-3)
    assert exact <= found.sam.quadratic_bound
    assert found.sam.linear_model == pytest.approx(0.3 * float(g.norm()))
    one_step = 0.3 * g / g.norm()
    assert found.sam.one_step == pytest.approx(float(g @ one_step + 0.5 * one_step @ H @ one_step))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("offset", [0.0, 0.01])
def test_ellipsoid_at_a_critical_point(seed, offset):
    H, at = symmetric_matrix([5.0, 2.0, 0.5, -1.0, 0.1], seed), randn(5, seed=seed)
    found = dk.sharpness(bowl(H, at), rho_adaptive=0.2, offset=offset, tol=1e-8, **QUICK)
    T = torch.diag(at.abs() + offset)
    exact = 0.5 * 0.2**2 * float(torch.linalg.eigvalsh(T @ H @ T)[-1])
    assert found.adaptive == pytest.approx(exact, rel=1e-5)


def test_a_linear_loss_has_its_linear_maxima():
    g, at = randn(7, seed=1), randn(7, seed=2)
    found = dk.sharpness(function(lambda w: g @ (w - at), at), eps=0.01, rho=0.5, rho_adaptive=0.3, **QUICK)
    assert found.sam == pytest.approx(0.5 * float(g.norm()))
    assert found.adaptive == pytest.approx(0.3 * float((at * g).norm()))
    assert found.keskar == pytest.approx(100 * 0.01 * float((g.abs() * (at.abs() + 1)).sum()))
    for one in (found.keskar, found.sam, found.adaptive):
        assert one.first_order == pytest.approx(one.value)
        assert one.linear_model == pytest.approx(one.value)
        assert one.second_order == 0.0


@pytest.mark.parametrize("seed", SEEDS)
def test_box_of_a_diagonal_quadratic(seed):
    h, at = randn(8, seed=seed).abs() + 0.1, 3 * randn(8, seed=seed + 5)
    found = dk.sharpness(bowl(torch.diag(h), at), eps=0.02, seed=seed, **QUICK)
    exact = 100 * float(0.5 * (h * 0.02**2 * (at.abs() + 1) ** 2).sum())
    assert found.keskar == pytest.approx(exact, rel=1e-9)
    assert found.keskar.searches[0] == 0.0, "from the critical point itself nothing moves"
    assert found.keskar.second_order == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [2, 3])
def test_box_against_all_its_corners(seed, size):
    """A convex function is highest at a corner."""
    H, at = symmetric_matrix([3.0, 1.0, 0.5][:size], seed), randn(size, seed=seed)
    g = 0.3 * randn(size, seed=seed + 20)
    obj = bowl(H, at, slope=g)
    found = dk.sharpness(obj, eps=0.3, seed=seed, **QUICK)
    bound = 0.3 * (at.abs() + 1)
    corners = [bound * torch.tensor(s) for s in itertools.product((-1.0, 1.0), repeat=size)]
    exact = max(obj.loss(at + z) for z in corners) - obj.loss()
    assert found.keskar == pytest.approx(100 * exact / (1 + obj.loss()), rel=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_box_in_a_random_subspace(seed):
    H, at = symmetric_matrix(np.linspace(0.1, 4.0, 9), seed), randn(9, seed=seed)
    obj = bowl(H, at, centre=torch.zeros(9, dtype=torch.float64))
    found = dk.sharpness(obj, eps=0.05, subspace=3, seed=seed, **QUICK)
    A = randn(9, 3, seed=seed)
    bound = 0.05 * ((torch.linalg.pinv(A) @ at).abs() + 1)
    corners = [A @ (bound * torch.tensor(s)) for s in itertools.product((-1.0, 1.0), repeat=3)]
    exact = max(obj.loss(at + z) for z in corners) - obj.loss()
    assert found.keskar == pytest.approx(100 * exact / (1 + obj.loss()), rel=1e-9)
    slope = bound * (A.T @ obj.gradient())
    assert found.keskar.linear_model == pytest.approx(100 * float(slope.abs().sum()) / (1 + obj.loss()))


def test_nothing_is_higher_than_a_maximum():
    found = dk.sharpness(bowl(-symmetric_matrix([3.0, 1.0, 0.5]), randn(3)), **QUICK)
    for one in (found.keskar, found.sam, found.adaptive):
        assert one == 0.0
        assert (one.first_order, one.second_order, one.beyond) == (0.0, 0.0, 0.0)


def test_a_maximum_inside_the_ball_is_found():
    """sin has its maximum at pi/2, nearer than the boundary."""
    at = torch.tensor([1.0, 0.0], dtype=torch.float64)
    found = dk.sharpness(function(lambda w: torch.sin(w[0]) + 0 * w[1], at), rho=1.5, steps=40, **QUICK)
    assert found.sam == pytest.approx(1 - np.sin(1.0), rel=5e-3)
    assert found.sam <= 1 - np.sin(1.0)


def test_a_loss_that_leaves_the_numbers_nearby_is_infinitely_high():
    obj = function(lambda w: -torch.log(0.1 - w).sum(), torch.zeros(2, dtype=torch.float64))
    found = dk.sharpness(obj, rho=1.0, eps=0.5, **QUICK)
    assert found.sam == float("inf")
    assert found.keskar == float("inf")
    assert np.isfinite(found.adaptive), "zeros do not move in proportion to themselves"
    assert np.isfinite(found.lambda_max)


def test_parts_add_up_on_a_network_and_a_long_search_finds_little_more():
    obj = digits_objective()
    found = dk.sharpness(obj, **QUICK)
    long = dk.sharpness(obj, **QUICK | {"num_random": 3, "steps": 40}, seed=3)
    for name, share in {"keskar": 0.99, "sam": 0.999, "adaptive": 0.999}.items():
        one, best = found.measures[name], long.measures[name]
        assert one.first_order + one.second_order + one.beyond == pytest.approx(one.value)
        assert share * best <= one <= best * (1 + 1e-3)
        assert one.value == max(one.searches)
        assert sorted(one.searches)[-2] == pytest.approx(one.value - one.error, rel=1e-9)


def test_float32_finds_what_float64_does():
    found, wide = (dk.sharpness(digits_objective(dtype), **QUICK) for dtype in (torch.float32, torch.float64))
    for name in ("keskar", "sam", "adaptive"):
        assert found.measures[name] == pytest.approx(wide.measures[name], rel=1e-2)


def test_out_of_time():
    with watching(budget=0.0):
        found = dk.sharpness(digits_objective())
    assert not found.complete
    assert not found.sam.complete
    assert len(found.sam.searches) == 1
    assert found.num_hvps + found.num_evals + found.num_gradients < 30
    assert "complete=no" in repr(found)
