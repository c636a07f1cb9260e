"""On a quadratic everything along the gradient step is known; on a network, a walk by hand."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.work import watching
from oracles import quadratic, randn, symmetric_matrix


@pytest.mark.parametrize("seed", [0, 1])
def test_on_a_quadratic(seed):
    """L falls by eta |g|^2 - (1/2) eta^2 g H g, the gradient changes by eta H g."""
    H = symmetric_matrix([5.0, 1.0, 0.2, -0.5], seed=seed)
    theta = randn(4, seed=seed + 10)
    found = dk.gradient_predictiveness(quadratic(H).at(theta), 0.1, num_steps=5)
    g = H @ theta
    eta = np.linspace(0.05, 0.4, 5)
    assert found.step_sizes == pytest.approx(eta)
    curvature = float(g @ H @ g / (g @ g))
    assert found.decrease_ratios == pytest.approx(1 - eta * curvature / 2, rel=1e-10)
    assert found.gradient_changes == pytest.approx(eta * float((H @ g).norm()), rel=1e-10)
    assert found.smoothness == pytest.approx(float((H @ g).norm() / g.norm()), rel=1e-10)
    assert found.smoothness <= 5.0 * (1 + 1e-12), "a lower bound on the largest curvature"
    assert found.smoothness_error < 1e-13


@pytest.mark.parametrize("norm_stats", ["running", "batch"])
def test_on_a_network_by_hand(norm_stats):
    torch.manual_seed(0)
    net = dk.with_normalization(nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 1)).double(), "batch")
    X, y = randn(30, 3), randn(30, 1, seed=1)
    found = dk.gradient_predictiveness(
        dk.Objective(net, nn.MSELoss(), (X, y), norm_stats=norm_stats), 0.3, num_steps=3
    )
    twin = copy.deepcopy(net).train(norm_stats == "batch")

    def gradient():
        loss = nn.MSELoss()(twin(X), y)
        return float(loss.detach()), torch.autograd.grad(loss, list(twin.parameters()))

    start, g = gradient()
    before = [p.detach().clone() for p in twin.parameters()]
    assert found.loss == pytest.approx(start, rel=1e-12)
    for i, eta in enumerate(found.step_sizes):
        with torch.no_grad():
            for p, b, d in zip(twin.parameters(), before, g, strict=True):
                p.copy_(b - eta * d)
        loss, there = gradient()
        change = sum(float(((a - b) ** 2).sum()) for a, b in zip(there, g, strict=True)) ** 0.5
        assert found.losses[i] == pytest.approx(loss, rel=1e-10)
        assert found.gradient_changes[i] == pytest.approx(change, rel=1e-8)
    assert found.loss_range == (found.losses.min(), found.losses.max())
    assert found.to_frame()["loss"].tolist() == found.losses.tolist()


def test_a_loss_that_overflows_is_shown_as_such():
    obj = quadratic(symmetric_matrix([1.0, 2.0]).float()).at(torch.full((2,), 1e18))
    found = dk.gradient_predictiveness(obj, 1e3, num_steps=2)
    assert not np.isfinite(found.losses).all()
    assert found.loss_range[1] == float("inf")


def test_refused_and_out_of_time():
    obj = quadratic(symmetric_matrix([1.0, 2.0]))
    with pytest.raises(dk.InputError, match="a gradient of exactly 0"):
        dk.gradient_predictiveness(obj.at(torch.zeros(2)), 0.1)
    obj = obj.at(torch.ones(2))
    with pytest.raises(dk.InputError, match="lr = 0"):
        dk.gradient_predictiveness(obj, 0)
    with pytest.raises(dk.InputError, match="num_steps = 1"):
        dk.gradient_predictiveness(obj, 0.1, num_steps=1)
    with watching(budget=0.0):
        found = dk.gradient_predictiveness(obj, 0.1)
    assert not found.complete
    assert np.isnan(found.losses).sum() == 7
    assert np.isfinite(found.smoothness)
