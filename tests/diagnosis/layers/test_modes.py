"""Losses in other modes against the modules' own train() and eval()."""

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.diagnosis.layers import mode_losses

MSE = nn.MSELoss()


def network(p=0.5, seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(p), nn.Linear(16, 1)
    ).double()


def objective(model, n=64):
    X = 3 + torch.randn(n, 4, generator=torch.Generator().manual_seed(0)).double()
    return dk.Objective(model, MSE, (X, X.sum(1, keepdim=True)))


@pytest.mark.parametrize("seed", range(3))
def test_each_mode_is_what_the_modules_do(seed):
    model = network(p=0.0, seed=seed)
    obj = objective(model)
    found = mode_losses(obj, 64)
    X, y = obj.batches[0].payload
    assert found.mean("evaluation") == pytest.approx(obj.loss(), rel=1e-12)
    model.train()
    with torch.no_grad():
        expected = float(MSE(model(X), y))
    assert found.mean("batch statistics") == pytest.approx(expected, rel=1e-12)
    assert np.isnan(found.dropout).all()
    assert found.mean("both") == pytest.approx(expected, rel=1e-12)


def test_expected_loss_under_dropout():
    """One linear layer behind dropout: E (w . d/(1-p) - y)^2 adds p/(1-p) sum w_i^2 x_i^2."""
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 1, bias=False)).double()
    torch.nn.init.ones_(model[1].weight)
    X = torch.ones(512, 4).double()
    found = mode_losses(dk.Objective(model, MSE, (X, X.sum(1, keepdim=True))), 32, draws=16)
    values = found.dropout
    sem = values.std(ddof=1) / np.sqrt(len(values))
    assert abs(found.mean("dropout") - 4.0) < 5 * sem
    assert found.mean("evaluation") == 0.0
    gap, (low, high) = found.gap("dropout")
    assert low < gap < high < 0
    assert np.isnan(found.batch_statistics).all()


def test_the_same_seed_gives_the_same_losses_and_nothing_is_left():
    model = network()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    obj = objective(model)
    a, b, c = (mode_losses(obj, 16, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(a.both, b.both)
    assert not np.array_equal(a.dropout, c.dropout)
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    assert len(a.sizes) == 4
    assert "both" in repr(a)


@pytest.mark.parametrize("change", [{"batch_size": 0}, {"batches": 0}, {"draws": 1.5}, {"seed": -1}])
def test_what_is_refused(change):
    with pytest.raises(dk.InputError):
        mode_losses(objective(network()), **({"batch_size": 8} | change))
