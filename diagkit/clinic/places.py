"""Places where a run may end up, one of every kind: the gradient is tiny at almost all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from diagkit.clinic.plateaus import bounded
from diagkit.clinic.saddles import Product, flat_saddle, two_weights, zero_network
from diagkit.clinic.tables import table
from diagkit.clinic.trained import mlp
from diagkit.objective import Objective

HIDDEN = 4
DECAY = 0.01  # of the trained net: the weights stay finite, and a minimum exists


class Kink(nn.Module):
    """L = |w1| + |w2|, written as relu(w) + relu(-w): the sharpest minimum that there is, at 0."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(2, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return (torch.relu(self.w) + torch.relu(-self.w)).sum() * x


def kink() -> Objective:
    """Gradient 0 and Hessian 0, as autograd has them, at a minimum.

    Example
    -------
    >>> obj = kink()
    >>> obj.loss(), obj.loss([0.1, -0.1]), float(obj.gradient().norm()), float(obj.hessian().norm())
    (0.0, 0.2, 0.0, 0.0)
    """
    one = torch.ones(1, dtype=torch.float64)
    return Objective(Kink(), lambda output, target: output.mean(), (one, one))


def slope() -> Objective:
    """L = |2 - w| at w = 0: a slope of -1 without any curvature.

    Example
    -------
    >>> slope().gradient().tolist(), slope().hessian().tolist()
    ([-1.0], [[0.0]])
    """
    one = torch.ones(1, 1, dtype=torch.float64)
    return Objective(Product([0.0]), nn.L1Loss(), (one, 2 * one))


def plateau(seed: int = 0) -> Objective:
    """A regression net that began far off, under a loss that is bounded: flat for miles, and no minimum."""
    g = torch.Generator().manual_seed(seed)
    X = 6 * torch.rand(200, 1, generator=g, dtype=torch.float64) - 3
    model = mlp(1, 16, 1, activation=nn.SiLU, seed=seed).double()
    nn.init.constant_(cast(Tensor, model[2].bias), 8.0)
    return Objective(model, bounded, (X, torch.sin(X)))


def trained_net(seed: int = 0) -> Objective:
    r"""A tanh net 4-4-3 on iris, trained to the end: cross-entropy and (1/2) 0.01 ||theta||^2, by L-BFGS."""
    X, y = table("iris")
    data = X.double(), y
    model = mlp(4, HIDDEN, 3, activation=nn.Tanh, seed=seed).double()
    optimizer = torch.optim.LBFGS(
        model.parameters(),
        max_iter=300,
        tolerance_grad=1e-9,
        tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = _decayed(model, data)
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)
    return Objective.from_step(model, _decayed, data)


def _decayed(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
    inputs, labels = batch
    size = torch.stack([(p**2).sum() for p in model.parameters()]).sum()
    return nn.functional.cross_entropy(model(inputs), labels) + 0.5 * DECAY * size


def places() -> dict[str, Callable[[int], Objective]]:
    """Name -> a function of a seed that returns an Objective at that place.

    Example
    -------
    >>> list(places())
    ['two weights', 'zero network', 'trained net', 'plateau', 'flat saddle', 'kink', 'slope']
    """
    return {
        "two weights": lambda seed: Objective(*two_weights()),
        "zero network": lambda seed: Objective(*zero_network(16)),
        "trained net": trained_net,
        "plateau": plateau,
        "flat saddle": lambda seed: Objective(*flat_saddle()),
        "kink": lambda seed: kink(),
        "slope": lambda seed: slope(),
    }
