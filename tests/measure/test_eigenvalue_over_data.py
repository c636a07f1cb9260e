"""Linear regression: H_b is the mean of x x^T over a group, so that v^T H_b v is known example by example."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binom
from torch import nn

import diagkit as dk
from diagkit.work import watching
from oracles import digits_objective, half_square, randn

SCALES = torch.tensor([2.0, 1.0, 0.5], dtype=torch.float64)


def regression(seed=0, examples=512):
    X = randn(examples, 3, seed=seed) * SCALES
    model = nn.Linear(3, 1, bias=False, dtype=torch.float64)
    return dk.Objective(model, half_square, (X, torch.zeros(examples, 1).double())), X


@pytest.fixture(scope="module")
def first_axis():
    """The top eigenvector of the population, a direction that knows nothing of the sample."""
    pairs = dk.hessian_eigenvalues(regression()[0], 1)
    return replace(pairs, vectors=np.eye(1, 3), values=np.array([4.0]))


@pytest.mark.parametrize("groups", [8, 64, 512])
def test_every_group_is_exact(groups):
    obj, X = regression()
    pairs = dk.hessian_eigenvalues(obj, 2, tol=1e-10)
    for index in (0, 1):
        over = dk.eigenvalue_over_data(obj, pairs, index, groups=groups)
        each = (X @ torch.as_tensor(pairs.vectors[index])).square().numpy()
        assert len(over.groups) == groups
        assert over.value == pytest.approx(pairs.values[index], rel=1e-9)
        assert over.groups @ over.sizes / 512 == pytest.approx(each.mean(), rel=1e-12)
        if groups == 512:
            np.testing.assert_allclose(np.sort(over.groups), np.sort(each), rtol=1e-10)
            assert over.sem == pytest.approx(each.std(ddof=1) / 512**0.5, rel=1e-10)
        assert over.sem == pytest.approx(each.std() / 512**0.5, rel=0.7 if groups == 8 else 0.3)
        assert over.interval[0] < over.value < over.interval[1]
        assert over.resampled.std() == pytest.approx(over.sem, rel=0.15)


def test_groups_of_unequal_size():
    obj, _ = regression(examples=103)
    pairs = dk.hessian_eigenvalues(obj, 1, tol=1e-10)
    over = dk.eigenvalue_over_data(obj, pairs, groups=10)
    assert len(set(over.sizes)) == 2
    assert over.groups @ over.sizes / 103 == pytest.approx(over.value, rel=1e-12)


def test_coverage(first_axis):
    """v^T x x^T v is chi-square with one degree of freedom: skewed. 95 % intervals over 200 samples."""
    covered = 0
    for seed in range(200):
        over = dk.eigenvalue_over_data(
            regression(seed, 200)[0], first_axis, groups=8, resamples=400, seed=seed
        )
        covered += over.interval[0] <= 4.0 <= over.interval[1]
    assert binom.ppf(0.001, 200, 0.95) <= covered


def test_the_interval_has_the_width_that_samples_spread(first_axis):
    values, sems = [], []
    for seed in range(40):
        over = dk.eigenvalue_over_data(regression(seed)[0], first_axis, groups=16, resamples=100)
        values.append(over.value)
        sems.append(over.sem)
    # Var (v.x)^2 = 2 * 4^2 for one example
    assert np.mean(sems) == pytest.approx((32 / 512) ** 0.5, rel=0.1)
    assert np.std(values) == pytest.approx(np.mean(sems), rel=0.35)


def test_price_on_a_network():
    obj = digits_objective(torch.float32)
    pairs = dk.hessian_eigenvalues(obj, 2)
    over = dk.eigenvalue_over_data(obj, pairs, 1)
    assert over.num_hvps == 2, "all groups together are one pass over the data"
    assert over.value == pytest.approx(pairs.values[1], abs=pairs.residuals[1] + pairs.rounding)
    assert over.eigenvalue == pairs.values[1]
    assert over.to_frame().shape == (len(over.groups), 2)
    assert "at least" in over.explanation


def test_same_seed_same_answer():
    obj, _ = regression()
    pairs = dk.hessian_eigenvalues(obj, 1)
    first, again, other = (dk.eigenvalue_over_data(obj, pairs, seed=s) for s in (1, 1, 2))
    assert first.interval == again.interval != other.interval


def test_out_of_time_is_marked():
    obj, _ = regression()
    pairs = dk.hessian_eigenvalues(obj, 1)
    with watching(budget=0.0):
        over = dk.eigenvalue_over_data(obj, pairs)
    assert not over.complete
    assert len(over.groups) == 4


def test_batch_statistics_are_refused():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1)).double()
    obj = dk.Objective(net, half_square, (randn(32, 3), randn(32, 1)), norm_stats="batch")
    with pytest.raises(dk.InputError, match=r"norm_stats='batch'.*running"):
        dk.eigenvalue_over_data(obj, dk.hessian_eigenvalues(obj, 1))


def test_a_loss_that_does_not_average_is_refused():
    obj = dk.Objective(
        nn.Linear(3, 1, bias=False).double(),
        lambda out, y: ((out - y) ** 2).mean().sqrt(),
        (randn(64, 3), randn(64, 1)),
    )
    with pytest.raises(dk.InputError, match="mean of its examples' losses"):
        dk.eigenvalue_over_data(obj, dk.hessian_eigenvalues(obj, 1))
