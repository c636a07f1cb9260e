"""y = w*^T x + noise, x ~ N(0, I_d), half squared loss: noise scale (d + 1) + d sigma^2 / |Delta|^2."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from oracles import half_square, randn

D = 6


def regression(seed, sigma=0.5, examples=2048, delta=1.0):
    X = randn(examples, D, seed=seed)
    w = torch.zeros(D, dtype=torch.float64)
    y = X @ w + sigma * randn(examples, seed=1000 + seed)
    model = nn.Linear(D, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(w + delta / D**0.5)
    return dk.Objective(model, half_square, (X, y[:, None]))


@pytest.mark.parametrize("sigma", [0.0, 0.5, 2.0])
def test_the_interval_covers_the_exact_noise_scale(sigma):
    exact = (D + 1) + D * sigma**2
    seeds = range(20)
    noises = [dk.gradient_noise(regression(s, sigma), seed=s) for s in seeds]
    covered = sum(n.interval[0] <= exact <= n.interval[1] for n in noises)
    assert covered >= 15, "95 % intervals; 15 of 20 or fewer has probability 0.003"
    assert all(n.resolved for n in noises)
    assert np.median([n.noise_scale for n in noises]) == pytest.approx(exact, rel=0.1)


def test_parts_of_the_estimate():
    sigma, delta = 0.5, 2.0
    noises = [dk.gradient_noise(regression(s, sigma, delta=delta), seed=s) for s in range(20)]
    trace = (D + 1) * delta**2 + D * sigma**2
    squares = np.array([n.gradient_sq_norm for n in noises])
    assert np.mean([n.trace_covariance for n in noises]) == pytest.approx(trace, rel=0.05)
    assert squares.mean() == pytest.approx(delta**2, abs=3 * squares.std() / 20**0.5), "unbiased"
    assert np.mean([n.gradient_sq_norm_sem for n in noises]) == pytest.approx(squares.std(), rel=0.5)


def test_not_resolved_at_a_minimum():
    X, y = randn(512, D), randn(512, 1, seed=1)
    model = nn.Linear(D, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(torch.linalg.lstsq(X, y).solution.T)
    noise = dk.gradient_noise(dk.Objective(model, half_square, (X, y)))
    assert not noise.resolved
    assert noise.noise_scale == noise.interval[1] == float("inf")


def test_seldom_resolved_at_the_true_parameters():
    """There the gradient is noise alone."""
    noises = [dk.gradient_noise(regression(s, delta=0.0, examples=512), seed=s) for s in range(20)]
    assert sum(n.resolved for n in noises) <= 4


def test_the_cut_of_the_data_matters_little():
    objectives = [regression(seed) for seed in range(8)]
    for groups in (32, 64, 2048):
        scales = [
            dk.gradient_noise(obj, groups=groups).noise_scale for obj in objectives[: 100 // groups + 5]
        ]
        assert np.mean(scales) == pytest.approx(D + 1 + D * 0.25, rel=0.15)


def test_same_seed_same_answer():
    obj = regression(0)
    assert repr(dk.gradient_noise(obj, seed=1)) == repr(dk.gradient_noise(obj, seed=1))
    assert dk.gradient_noise(obj, seed=1).noise_scale != dk.gradient_noise(obj, seed=2).noise_scale


def all_minibatches(obj, size):
    """E |g_B - g|^2 over each way to choose ``size`` of the examples, from per-example gradients."""
    X, y = obj.batches[0].payload
    rows = (X @ obj.theta[:, None] - y) * X
    whole = rows.mean(0)
    chosen = [list(c) for c in itertools.combinations(range(len(X)), size)]
    return float(np.mean([float(((rows[c].mean(0) - whole) ** 2).sum()) for c in chosen]))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6])
def test_the_noise_of_a_minibatch_has_the_finite_population_correction(size):
    obj = regression(0, examples=6)
    noise = dk.gradient_noise(obj, groups=6)
    assert noise.num_examples == 6
    assert noise.minibatch_variance(size) == pytest.approx(all_minibatches(obj, size), rel=1e-9, abs=1e-15)


def test_the_variance_is_unbiased_however_the_examples_are_cut():
    """Groups of unequal size, drawn without replacement: in the mean the variance between examples."""
    obj = regression(1, examples=11)
    exact = dk.gradient_noise(obj, groups=11).trace_covariance
    traces = np.array([dk.gradient_noise(obj, groups=4, seed=s).trace_covariance for s in range(150)])
    assert traces.mean() == pytest.approx(exact, abs=4 * traces.std() / 150**0.5)


def test_minibatches_that_cannot_be():
    noise = dk.gradient_noise(regression(0, examples=8), groups=8)
    for size in (0, 9, 2.5):
        with pytest.raises(dk.InputError, match="batch_size"):
            noise.minibatch_variance(size)
