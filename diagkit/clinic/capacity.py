"""Models too small for their data, and small ones that do all that can be done."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from diagkit.clinic.digits import digits
from diagkit.clinic.registry import admit
from diagkit.clinic.trained import mlp, trained

CE, MSE = nn.CrossEntropyLoss(), nn.MSELoss()


def rings(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Points [n, 2] on two rings around the origin; the label says which."""
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 2, (n,), generator=g)
    angle = 6.2832 * torch.rand(n, generator=g)
    radius = 1.0 + y + 0.15 * torch.randn(n, generator=g)
    return radius[:, None] * torch.stack([angle.cos(), angle.sin()], 1), y


@admit("one-unit-for-ten-digits", "model-too-small")
def one_unit_for_ten_digits(seed: int) -> dict[str, Any]:
    """A hidden layer of one unit between 64 pixels and ten classes, trained to the end."""
    model = mlp(64, 1, 10, activation=nn.Tanh, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    return trained(model, CE, digits(), adam, seed=seed, epochs=60)


@admit("a-line-between-rings", "model-too-small", half="held-out")
def a_line_between_rings(seed: int) -> dict[str, Any]:
    """Logistic regression on two rings, one inside the other."""
    model = mlp(2, 2, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    return trained(model, CE, rings(600, seed), sgd, seed=seed, epochs=40)


@admit("two-units-for-a-wave", "model-too-small", half="held-out")
def two_units_for_a_wave(seed: int) -> dict[str, Any]:
    """Two tanh units for a sine with four periods."""
    g = torch.Generator().manual_seed(seed)
    X = 2 * torch.rand(600, 1, generator=g) - 1
    y = torch.sin(12.6 * X) + 0.05 * torch.randn(600, 1, generator=g)
    model = mlp(1, 2, 1, activation=nn.Tanh, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=2e-2)
    return trained(model, MSE, (X, y), adam, seed=seed, epochs=300)


@admit("mostly-noise", "converged", also=("healthy",))
def mostly_noise(seed: int) -> dict[str, Any]:
    """Two thirds of the targets' variance is noise: a small model has found the rest."""
    g = torch.Generator().manual_seed(seed)
    X = torch.randn(240, 6, generator=g)
    y = X[:, :1] + 1.4 * torch.randn(240, 1, generator=g)
    model = mlp(6, 1, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.05)
    return trained(model, MSE, (X, y), sgd, seed=seed, batch_size=240, epochs=300)


@admit("overlapping-classes", "converged", half="held-out", also=("healthy",))
def overlapping_classes(seed: int) -> dict[str, Any]:
    """Two clouds one standard deviation apart: logistic regression is the best there is."""
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 2, (240,), generator=g)
    X = torch.randn(240, 4, generator=g) + 0.5 * y[:, None]
    model = mlp(4, 2, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    return trained(model, CE, (X, y), adam, seed=seed, batch_size=240, epochs=800)
