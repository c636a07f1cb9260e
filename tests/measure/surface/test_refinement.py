"""Refinement against brute force: what it costs, how wrong it is, and how wrong it says it is."""

from itertools import pairwise

import numpy as np
import pytest

from diagkit.measure.surface.interpolation import PolyharmonicSpline
from diagkit.measure.surface.refinement import refinements
from diagkit.measure.surface.scale import Scale

SIZE = 51
AXIS = np.linspace(-1.0, 1.0, SIZE)
A, B = np.meshgrid(AXIS, AXIS, indexing="ij")


def stages(loss, tol=0.01, stop_after=None):
    """All stages over a surface that is known, with the number of cells asked for."""
    asked = []

    def evaluate(cells):
        if stop_after is not None:
            cells = cells[: max(0, stop_after - len(asked))]
        asked.extend(map(tuple, cells))
        return loss[cells[:, 0], cells[:, 1]]

    found = list(refinements(evaluate, loss.shape, tuple(n // 2 for n in loss.shape), tol))
    assert len(set(asked)) == len(asked) == found[-1].evaluated.sum(), "a cell was evaluated twice"
    for grid in found:
        np.testing.assert_array_equal(grid.loss[grid.evaluated], loss[grid.evaluated])
        assert grid.evaluated.sum() <= loss.size
    assert [grid.final for grid in found] == [False] * (len(found) - 1) + [True]
    return found


def true_error(grid, loss):
    finite = np.isfinite(loss)
    return float(Scale.of(loss).error(grid.loss[finite], loss[finite]).max())


def field(seed, length):
    """A random smooth field with waves of about ``length`` (the half-width is 1)."""
    rng = np.random.default_rng(seed)
    waves, phase, size = rng.normal(size=(100, 2)) / length, rng.uniform(0, 7, 100), rng.normal(size=100)
    return (size * np.cos(A[..., None] * waves[:, 0] + B[..., None] * waves[:, 1] + phase)).sum(-1)


SMOOTH = {
    **{f"field {length} {seed}": field(seed, length) for length in (0.4, 0.8, 1.5) for seed in range(4)},
    **{f"exponential {seed}": np.exp(0.2 * field(seed, 0.8)) for seed in range(4)},
    "steep on two sides": np.exp(8 * A) + np.exp(-6 * B),
    "Rosenbrock": (1 - 2 * A) ** 2 + 100 * (2 * B - 4 * A**2) ** 2 + 1e-3,
    "narrow valley": 500 * (B - 0.4 * A - 0.3 * A**2) ** 2 + 0.1 * A**2 + 1e-3,
    "wide extent": 1e6 * (A**2 + B**2) ** 4 + 0.05,
    "narrow well": 1 - np.exp(-((A - 0.3) ** 2 + (B + 0.2) ** 2) / 0.02),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_smooth_surfaces(name):
    loss = SMOOTH[name]
    last = stages(loss)[-1]
    assert last.complete
    assert last.max_error <= 0.01
    assert true_error(last, loss) <= 0.012  # an estimate: now and then the truth is a little worse
    assert last.evaluated.sum() <= loss.size / 3


def test_errors_are_seldom_understated():
    """Over all stages that claim something, on every smooth surface."""
    shares = []
    for loss in SMOOTH.values():
        for grid in stages(loss, tol=0.002):
            if np.isfinite(grid.max_error) and not grid.evaluated.all():
                shares.append(true_error(grid, loss) / max(grid.max_error, 1e-12))
    assert len(shares) > 100
    assert np.mean(np.array(shares) <= 1.0) >= 0.9
    assert np.median(shares) >= 0.1, "an error estimate that is far too large says nothing either"


@pytest.mark.parametrize("power", [1, 2])
def test_polynomials_are_exact_after_the_first_stage(power):
    loss = 3.0 + A - 2 * B if power == 1 else 1.0 + A**2 - 3 * A * B + 2 * B**2
    first = stages(loss)[0]
    assert first.final
    assert first.evaluated.sum() == 25
    np.testing.assert_allclose(first.loss, loss, atol=1e-9)


def test_a_constant_is_no_division_by_zero():
    last = stages(np.full((SIZE, SIZE), 3.0))[-1]
    np.testing.assert_allclose(last.loss, 3.0, rtol=1e-12)
    assert last.max_error < 1e-9


def test_noise_is_evaluated_and_not_smoothed():
    loss = np.random.default_rng(0).normal(size=(31, 31))
    last = stages(loss)[-1]
    assert last.evaluated.all()
    assert last.max_error == 0.0
    np.testing.assert_array_equal(last.loss, loss)


def test_a_cliff_is_evaluated_along_its_edge():
    loss = np.where(A + B > 0.2, 1.0, 0.0) + 0.1 * A
    last = stages(loss)[-1]
    edge = np.abs(A + B - 0.2) < 0.05
    assert last.evaluated[edge].mean() > 0.9
    assert last.evaluated.mean() < 0.8
    assert true_error(last, loss) <= 0.01


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_border_of_what_is_not_finite_is_closed(bad):
    loss = A**2 + B**2
    loss[(A + 0.8) ** 2 + (B - 0.1) ** 2 < 0.2] = bad
    last = stages(loss)[-1]
    np.testing.assert_array_equal(np.isfinite(last.loss), np.isfinite(loss))
    assert last.evaluated[~np.isfinite(loss)].all()
    assert last.evaluated.mean() < 0.5
    assert true_error(last, loss) < 1e-9


def test_nothing_finite():
    last = stages(np.full((21, 21), np.nan))[-1]
    assert last.evaluated.all()
    assert np.isnan(last.loss).all()


@pytest.mark.parametrize("shape", [(3, 3), (8, 8), (9, 9), (51, 21), (4, 60), (101, 101)])
def test_shapes(shape):
    a, b = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    loss = np.sin(2 * a + b) + 2
    last = stages(loss)[-1]
    assert true_error(last, loss) <= 0.015
    assert last.evaluated[shape[0] // 2, shape[1] // 2]
    assert last.evaluated.all() == (loss.size <= 64)


def test_without_a_tolerance_every_cell_is_evaluated():
    (only,) = stages(SMOOTH["Rosenbrock"], tol=None)
    assert only.evaluated.all()
    assert only.max_error == 0.0


@pytest.mark.parametrize("after", [0, 7, 30, 70])
def test_interrupted(after):
    loss = SMOOTH["Rosenbrock"]
    last = stages(loss, stop_after=after)[-1]
    assert last.evaluated.sum() == after
    assert not last.complete
    if after >= 25:  # the first stage was whole: its picture is kept, with its error
        assert np.isfinite(last.loss).all()
        assert last.max_error > 0.01
    else:
        assert np.isnan(last.loss[~last.evaluated]).all() or np.isfinite(last.loss).all()


def test_stages_only_add():
    found = stages(SMOOTH["narrow valley"])
    assert len(found) > 3
    for before, after in pairwise(found):
        assert (after.evaluated >= before.evaluated).all()
        assert after.evaluated.sum() > before.evaluated.sum()


@pytest.mark.parametrize("power", [3, 5])
def test_left_out_residuals_are_those_of_splines_fitted_without(power):
    rng = np.random.default_rng(0)
    nodes = rng.uniform(-1, 1, size=(40, 2))
    values = np.stack([np.sin(3 * nodes[:, 0]) + nodes[:, 1], np.cos(nodes.sum(axis=1))], axis=1)
    whole = PolyharmonicSpline.through(nodes, values, power)
    np.testing.assert_allclose(whole(nodes), values, atol=1e-9)
    for i in range(len(nodes)):
        rest = np.arange(len(nodes)) != i
        without = PolyharmonicSpline.through(nodes[rest], values[rest], power)
        np.testing.assert_allclose(
            whole.left_out[i], values[i] - without(nodes[[i]])[0], rtol=1e-5, atol=1e-9
        )


def test_a_row_of_cells_does_not_vouch_for_the_row_beside_it():
    """Along an evaluated row each cell is foretold by its neighbours; across it nothing is known."""
    loss = np.log(np.maximum(0.5 + A, 1e-9)) + B**2
    loss[A + 0.5 < 1e-9] = -np.inf
    last = stages(loss)[-1]
    assert true_error(last, loss) <= 0.01
