"""Lines: coordinates, slope and curvature, how far the parabola holds, and barriers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import nn

import diagkit as dk
from diagkit.measure.surface.barrier import barrier
from diagkit.measure.surface.coordinates import around_zero, towards
from oracles import (
    NO_DATA,
    FunctionOfParameters,
    digits_objective,
    mean_output,
    quadratic,
    randn,
    symmetric_matrix,
)


def of(f, *start):
    return dk.Objective(FunctionOfParameters(f, *start), mean_output, NO_DATA)


# -- coordinates --------------------------------------------------------------------------------------


@pytest.mark.parametrize("resolution", [3, 4, 7, 20, 51])
@pytest.mark.parametrize("bounds", [(-1.0, 1.0), (-0.25, 1.25), (0.0, 2.0), (-2.0, 0.0), (-1e-9, 3.0)])
def test_zero_is_a_node_of_an_equidistant_grid(bounds, resolution):
    low, high = bounds
    grid = around_zero(low, high, resolution)
    assert len(grid) == resolution
    assert (grid == 0.0).sum() == 1
    spacing = (high - low) / (resolution - resolution % 2 if resolution % 2 == 0 else resolution - 1)
    np.testing.assert_allclose(np.diff(grid), spacing, rtol=1e-9)
    assert abs(grid[0] - low) <= spacing / 2 * (1 + 1e-9) or resolution % 2 == 0
    assert grid[-1] <= high + spacing / 2 * (1 + 1e-9)


@pytest.mark.parametrize("extent", [0.3, 1.0, 1.01, 1.5, 7.0])
@pytest.mark.parametrize("resolution", [3, 10, 51])
def test_the_way_to_another_point_holds_both_ends(extent, resolution):
    t = towards(extent, resolution)
    assert (len(t), t[0], t[-1]) == (resolution, 0.0, extent)
    assert (np.diff(t) > 0).all()
    assert (1.0 in t) == (extent >= 1)
    np.testing.assert_allclose(np.diff(t[t <= 1], 2), 0.0, atol=1e-12)


def test_coordinates_are_true_displacements():
    obj = digits_objective(examples=40)
    line = dk.loss_line(obj, resolution=5)
    assert (line.kind, line.seed) == ("random, filter-normalized", 0)
    for t, value in zip(line.t, line.loss, strict=True):
        assert value == obj.loss(obj.theta + float(t) * torch.as_tensor(line.direction))
    assert line.loss[2] == obj.loss()


def test_given_directions_are_used_unchanged():
    obj = digits_objective(examples=40)
    given = randn(1210, seed=1) * 7
    line = dk.loss_line(obj, given, resolution=5)
    np.testing.assert_array_equal(line.direction, given)
    assert (line.kind, line.seed) == ("given", None)


def test_cells_that_are_not_finite_stay_so():
    obj = of(lambda w: torch.log(w[0]) + w[1] ** 2, [0.5, 0.0])
    line = dk.loss_line(obj, [1.0, 0.0], resolution=21, parabola=True)
    np.testing.assert_array_equal(np.isnan(line.loss), 0.5 + line.t < -1e-9)
    assert 0 < line.parabola_holds_to < 0.5


# -- named directions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_lines_along_the_ends_of_the_spectrum(seed):
    obj = quadratic(symmetric_matrix([-2.0, 0.5, 1.0, 3.0], seed)).at(randn(4, seed=seed))
    for name, value in (("lowest", -2.0), ("highest", 3.0)):
        line = dk.loss_line(obj, name, resolution=5, parabola=True, seed=seed)
        assert line.kind == f"{name} curvature"
        assert line.curvature == pytest.approx(value, rel=1e-6)
        assert np.linalg.norm(line.direction) == pytest.approx(1.0)


def test_along_the_gradient_the_slope_is_minus_its_norm():
    obj = digits_objective(examples=100)
    line = dk.loss_line(obj, "gradient", extent=0.05, resolution=5, parabola=True)
    assert line.slope == pytest.approx(-float(obj.gradient().norm()), rel=1e-12)
    assert line.loss[3] < line.loss[2] < line.loss[1]
    assert line.seed is None


def test_unknown_names_are_refused():
    obj = digits_objective(examples=40)
    with pytest.raises(dk.InputError, match=r"'downhill'; allowed: .*'gradient', 'lowest'"):
        dk.loss_line(obj, "downhill")


def test_processes_are_passed_on():
    with pytest.raises(dk.InputError, match="n_jobs = 0"):
        dk.loss_line(digits_objective(examples=40), resolution=3, n_jobs=0)


# -- the parabola -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_slope_and_curvature_against_finite_differences(dtype):
    obj, exact = digits_objective(dtype, examples=100), digits_objective(examples=100)
    line = dk.loss_line(obj, resolution=3, parabola=True)
    assert (line.num_evals, line.num_hvps) == (3, 1)
    h, d = 1e-4, torch.as_tensor(line.direction)
    up, here, down = (exact.loss(exact.theta + s * d) for s in (h, 0.0, -h))
    tol = 1e-5 if dtype == torch.float64 else 1e-3
    assert line.slope == pytest.approx((up - down) / (2 * h), rel=tol, abs=1e-6)
    assert line.curvature == pytest.approx((up - 2 * here + down) / h**2, rel=max(tol, 1e-3))


def test_without_asking_there_is_no_parabola():
    line = dk.loss_line(digits_objective(examples=40), resolution=3)
    assert line.parabola is None
    assert line.parabola_holds_to is None
    assert "slope" not in line.summary()


@pytest.mark.parametrize("extent", [1.0, 20.0])
def test_a_quadratic_holds_as_far_as_it_is_seen(extent):
    obj = quadratic(symmetric_matrix([-2.0, 0.5, 1.0, 3.0])).at(randn(4, seed=1))
    line = dk.loss_line(obj, extent=extent, direction=randn(4, seed=2), resolution=21, parabola=True)
    np.testing.assert_allclose(line.parabola, line.loss, rtol=1e-9, atol=1e-12)
    assert line.parabola_holds_to == extent


@pytest.mark.parametrize(("extent", "resolution"), [(1.0, 401), (3.0, 1201), (0.5, 201)])
def test_where_the_parabola_ends_does_not_hang_on_the_picture(extent, resolution):
    """L = t^2 + t^3: the error |t|^3 passes 10 % of the range t^2 at |t| = 0.1."""
    obj = of(lambda w: 5 * (w[0] ** 2 + w[0] ** 3), [0.0])
    line = dk.loss_line(obj, [1.0], extent=extent, resolution=resolution, parabola=True)
    assert line.parabola_holds_to == pytest.approx(0.1, abs=0.006)


def test_a_parabola_that_fails_at_once_holds_nowhere():
    obj = of(lambda w: w[0] ** 2 + 100 * w[0] ** 4, [0.0])
    assert dk.loss_line(obj, [1.0], resolution=5, parabola=True).parabola_holds_to == 0.0


# -- barriers -----------------------------------------------------------------------------------------


def test_between_two_points():
    obj = digits_objective(examples=40)
    other = obj.theta + randn(1210) / 10
    line = dk.loss_line(obj, to=other, resolution=5)
    assert line.t.tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert line.loss[0] == obj.loss()
    assert line.loss[-1] == pytest.approx(obj.loss(other), rel=1e-14)


def test_a_checkpoint_may_be_a_vector_an_objective_a_module_or_a_state():
    obj, model = digits_objective(examples=40), nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    model.double()
    theta = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    expected = dk.loss_line(obj, to=theta, resolution=3).loss
    for to in (obj.at(theta), model, model.state_dict(), theta.tolist()):
        np.testing.assert_array_equal(dk.loss_line(obj, to=to, resolution=3).loss, expected)
    with pytest.raises(dk.InputError, match=r"nothing under '0\.weight'.*model\.state_dict"):
        dk.loss_line(obj, to={})
    with pytest.raises(dk.InputError, match=r"shape \(3, 64\) under '0\.weight'.*\(16, 64\)"):
        dk.loss_line(obj, to=nn.Sequential(nn.Linear(64, 3)))


def test_a_known_barrier():
    """L = (w^2 - 1)^2 between -1 and 1: height 1 at the middle."""
    obj = of(lambda w: (w[0] ** 2 - 1) ** 2, [-1.0])
    line = dk.loss_line(obj, to=[1.0], extent=1.5)
    assert (line.verdict, line.barrier) == ("barrier", pytest.approx(1.0, abs=2e-3))
    assert line.barrier_at == pytest.approx(0.5, abs=0.02)
    assert line.barrier_interval[0] <= 1.0 <= line.barrier_interval[1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("seed", range(5))
def test_a_convex_loss_has_no_barrier(seed, dtype):
    model = nn.Linear(5, 1).to(dtype)
    obj = dk.Objective(model, nn.MSELoss(), (randn(30, 5).to(dtype), randn(30, 1, seed=1).to(dtype)))
    line = dk.loss_line(obj, to=obj.theta + randn(6, seed=seed).to(dtype))
    assert line.verdict == "no barrier seen"
    assert line.barrier <= line.rounding


@pytest.mark.parametrize("resolution", [11, 21, 51])
def test_what_was_missed_between_samples_lies_within_the_interval(resolution):
    """Sums of random waves, many phases: the finest sampling never finds more than was foretold."""
    rng = np.random.default_rng(0)
    fine = np.linspace(0, 1, 5001)
    for _ in range(200):
        phases, sizes = rng.uniform(0, 2 * np.pi, 3), rng.normal(size=3)

        def loss(t, phases=phases, sizes=sizes):
            return sum(
                s * np.sin(np.pi * k * t + p) for k, (s, p) in enumerate(zip(sizes, phases, strict=True), 1)
            )

        t = np.linspace(0, 1, resolution)
        low, high = barrier(t, loss(t), 1e-12).interval
        exact = max(0.0, float((loss(fine) - ((1 - fine) * loss(0.0) + fine * loss(1.0))).max()))
        assert low <= exact + 1e-9
        assert exact <= high + 1e-6
        assert high - low <= 3.0 * sum(np.abs(sizes)) * (3 * np.pi / (resolution - 1)) ** 2 / 4 + 1e-9


def test_nothing_is_claimed_where_the_loss_is_not_finite():
    t = np.linspace(0, 1, 5)
    rising = np.array([1.0, 2.0, np.nan, 2.0, 1.0])
    found = barrier(t, rising, 0.0)
    assert (found.height, found.interval) == (1.0, (1.0, np.inf))
    falling = barrier(t, np.array([1.0, 0.5, np.nan, 0.5, 1.0]), 0.0)
    assert (falling.height, falling.interval) == (0.0, (0.0, np.inf))
    assert np.isnan(barrier(t, np.array([1.0, 2.0, 3.0, 2.0, np.nan]), 0.0).height)
    assert barrier(t, np.array([1.0, 2.0, np.inf, 2.0, 1.0]), 0.0).height == np.inf
    assert np.isnan(barrier(0.5 * t, rising, 0.0).height), "the other point was not reached"
    assert barrier(np.array([0.0, 1.0]), np.array([0.0, 1.0]), 0.0).interval == (0.0, np.inf)


def test_verdicts():
    line = dk.loss_line(digits_objective(examples=40), to=randn(1210), resolution=3)
    assert replace(line, barrier_interval=(0.1, 0.2)).verdict == "barrier"
    assert replace(line, barrier_interval=(0.0, 0.2)).verdict == "no barrier seen"
    assert replace(line, barrier_interval=(0.0, np.inf)).verdict == "undecided"
    assert replace(line, barrier_interval=(np.nan, np.nan)).verdict == "undecided"
    assert replace(line, kind="given").verdict == ""


def permuted(obj, order, theta=None):
    """The same function: hidden units of the digits network in another order."""
    parts = obj.layout.split(obj.theta if theta is None else theta)
    rows = {"0.weight": 0, "0.bias": 0, "2.weight": 1}
    moved = [part.index_select(rows[name], order) if name in rows else part for name, part in parts.items()]
    return obj.layout.join(moved)


@pytest.mark.parametrize("seed", range(3))
def test_a_permuted_copy_is_behind_a_barrier_that_alignment_takes_away(seed):
    """Entezari et al. 2022. The copy is slightly moved, so that alignment has something to find."""
    obj = digits_objective(examples=300)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(seed))
    moved = obj.theta + 0.01 * randn(1210, seed=seed)
    copy = permuted(obj, order, moved)
    assert obj.loss(copy) == pytest.approx(obj.loss(moved), rel=1e-12)
    line = dk.loss_line(obj, to=copy, resolution=21)
    assert line.verdict == "barrier"
    assert line.barrier > 0.1
    incoming = obj.layout.split(obj.theta)["0.weight"] @ obj.layout.split(copy)["0.weight"].T
    _, back = linear_sum_assignment(-incoming.numpy())
    aligned = permuted(obj, torch.as_tensor(back), copy)
    torch.testing.assert_close(aligned, moved)
    assert dk.loss_line(obj, to=aligned, resolution=21).barrier_interval[1] < 0.01 * line.barrier
    assert (
        dk.loss_line(obj, to=permuted(obj, order.argsort(), permuted(obj, order)), resolution=5).barrier
        == 0.0
    )


def test_tables():
    obj = of(lambda w: w[0] + 10 * w[1], [0.0, 0.0])
    assert dk.loss_line(obj, [1.0, 0.0], resolution=3).to_frame().shape == (3, 2)
    frame = dk.loss_line(obj, [1.0, 0.0], resolution=3, parabola=True).to_frame()
    np.testing.assert_allclose(frame.parabola, frame.loss)
