"""Slopes of units against derivatives by autograd, and what is heard of activations."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import diagkit as dk
from diagkit.diagnosis.layers import unit_slopes

MSE = nn.MSELoss()


class Functional(nn.Module):
    """The activation is a function or a method, not a module."""

    def __init__(self, activation):
        super().__init__()
        self.first, self.second, self.activation = nn.Linear(3, 8), nn.Linear(8, 1), activation

    def forward(self, x):
        return self.second(self.activation(self.first(x)))


def objective(model, n=32, seed=0):
    X = torch.randn(n, 3, generator=torch.Generator().manual_seed(seed)).double()
    return dk.Objective(model.double(), MSE, (X, X[:, :1]))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("activation", "kind", "steepest"),
    [
        (F.relu, "relu", 1.0),
        (torch.relu, "relu", 1.0),
        (lambda x: x.relu(), "relu", 1.0),
        (F.relu6, "relu6", 1.0),
        (torch.tanh, "tanh", 1.0),
        (lambda x: x.tanh(), "tanh", 1.0),
        (torch.sigmoid, "sigmoid", 0.25),
        (nn.Sigmoid(), "sigmoid", 0.25),
        (nn.ReLU(inplace=True), "relu", 1.0),
    ],
)
def test_slopes_are_derivatives(activation, kind, steepest, seed):
    torch.manual_seed(seed)
    model = Functional(activation)
    model.first.weight.data.mul_(4.0)
    obj = objective(model, seed=seed)
    found = unit_slopes(obj)
    X = torch.cat([batch.payload[0] for batch in obj.batches])
    z = model.first(X).detach().requires_grad_()
    (slope,) = torch.autograd.grad(model.activation(z + 0.0).sum(), z)
    slope = (slope / steepest).numpy()
    assert (found.names, found.kinds, found.num_examples) == (("first",), (kind,), 32)
    assert found.slopes[0] == pytest.approx(slope.mean(), rel=1e-9)
    assert found.shut[0] == (slope == 0).all(axis=0).mean()
    assert found.stuck[0] == (slope.mean(axis=0) <= 0.05).mean()


@pytest.mark.parametrize("dead", [0, 3, 8])
def test_dead_units_are_counted(dead):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 1))
    model[0].weight.data.abs_()
    model[0].bias.data[:] = 100.0
    model[0].bias.data[:dead] = -100.0
    found = unit_slopes(objective(model))
    assert found.shut[0] == dead / 8
    assert found.stuck[0] == dead / 8
    gradient = objective(model).gradient()[:24].reshape(8, 3)
    assert bool((gradient[:dead] == 0).all())


def test_units_of_images_are_channels():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 5, 3), nn.ReLU(), nn.Flatten(), nn.Linear(20, 1))
    model[0].bias.data[2:] = -100.0
    found = unit_slopes(dk.Objective(model, MSE, (torch.randn(8, 1, 4, 4), torch.zeros(8, 1))))
    assert found.num_units.tolist() == [5]
    assert found.shut[0] == 3 / 5


def test_a_linear_model_has_none():
    found = unit_slopes(objective(nn.Linear(3, 1)))
    assert found.names == ()
    assert "activations=0" in repr(found)
    assert len(found.to_frame()) == 0


def test_table_and_standard_errors():
    found = unit_slopes(objective(Functional(torch.tanh)))
    assert found.to_frame().loc["first", "kind"] == "tanh"
    assert np.isfinite(found.stuck_sems).all()
    assert found.of("relu").size == 0
