"""The ratio of sharpness to stability limit is above one exactly where the optimizer diverges."""

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.diagnosis.stability import stability

CURVATURE = 3.0
SGD = {
    "plain": ({}, 2.0),
    "heavy ball": ({"momentum": 0.9}, 3.8),
    "light ball": ({"momentum": 0.5}, 3.0),
    "nesterov": ({"momentum": 0.9, "nesterov": True}, 3.8 / 2.8),
}


def quadratic():
    """L(w) = (1/2) CURVATURE w^2, at w = 1."""
    model = nn.Linear(1, 1, bias=False).double()
    nn.init.ones_(model.weight)
    x = torch.full((1, 1), CURVATURE**0.5, dtype=torch.float64)
    loss_fn = lambda output, target: 0.5 * ((output - target) ** 2).mean()  # noqa: E731
    return model, dk.Objective(model, loss_fn, (x, torch.zeros_like(x)))


@pytest.mark.parametrize("name", SGD)
@pytest.mark.parametrize("share", [0.97, 1.03])
def test_sgd(name, share):
    options, limit = SGD[name]
    model, obj = quadratic()
    optimizer = torch.optim.SGD(model.parameters(), lr=share * limit / CURVATURE, **options)
    found = stability(obj, optimizer, CURVATURE)
    assert found.ratio == pytest.approx(share)
    assert not found.preconditioned
    for _ in range(400):
        model.weight.grad = CURVATURE * model.weight.detach()
        optimizer.step()
    assert (abs(model.weight.item()) > 1) == (found.ratio > 1)


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
@pytest.mark.parametrize("share", [0.97, 1.03])
def test_adam_with_its_second_moments_held(kind, share):
    model, obj = quadratic()
    beta, second_moment = 0.9, 4.0
    rate = share * (2 + 2 * beta) / (1 - beta) * second_moment**0.5 / CURVATURE
    optimizer = kind(model.parameters(), lr=rate, betas=(beta, 0.999), eps=0.0)
    optimizer.state[model.weight] = {
        "step": torch.tensor(1e6),
        "exp_avg": torch.zeros(1, 1, dtype=torch.float64),
        "exp_avg_sq": torch.full((1, 1), second_moment, dtype=torch.float64),
    }
    found = stability(obj, optimizer, CURVATURE)
    assert found.preconditioned
    assert found.sharpness == pytest.approx(CURVATURE / second_moment**0.5)
    assert found.ratio == pytest.approx(share)
    w, m = 1.0, 0.0
    for _ in range(2000):
        m = beta * m + (1 - beta) * CURVATURE * w
        w -= rate * m / second_moment**0.5
    assert (abs(w) > 1) == (found.ratio > 1)


def test_what_has_no_limit():
    model, obj = quadratic()
    assert stability(obj, torch.optim.RMSprop(model.parameters()), CURVATURE) is None
    assert stability(obj, torch.optim.SGD(model.parameters(), lr=0.0), CURVATURE) is None
    assert stability(obj, torch.optim.Adam(model.parameters()), CURVATURE) is None  # no step taken yet


def test_negative_curvature_is_never_too_sharp():
    model, obj = quadratic()
    assert stability(obj, torch.optim.SGD(model.parameters(), lr=1.0), -1.0).ratio < 0
    assert np.isfinite(stability(obj, torch.optim.SGD(model.parameters(), lr=1e-30), 1.0).ratio)
