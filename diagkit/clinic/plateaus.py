"""Plateaus that no layer is to blame for: the loss, or the model itself, is flat where the run began."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from diagkit.clinic.registry import admit
from diagkit.clinic.tables import table
from diagkit.clinic.trained import mlp, trained


class Bumps(nn.Module):
    """Sum of Gaussian bumps of a fixed width: inputs [N, d] -> [N, 1]."""

    def __init__(self, inputs: int, bumps: int, width: float) -> None:
        super().__init__()
        self.centres, self.width = nn.Parameter(torch.empty(bumps, inputs)), width
        self.heights = nn.Parameter(torch.empty(bumps, 1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.normal_(self.centres)
        nn.init.ones_(self.heights)

    def forward(self, x: Tensor) -> Tensor:
        distances = torch.cdist(x, self.centres) ** 2
        return torch.exp(-distances / (2 * self.width**2)) @ self.heights


def bounded(output: Tensor, target: Tensor) -> Tensor:
    """1 - exp(-error^2 / 2): beyond errors of 3 it is flat (Welsch)."""
    return (1 - torch.exp(-((output - target) ** 2) / 2)).mean()


@admit("far-out-on-a-bounded-loss", "gradient-flat")
def far_out_on_a_bounded_loss(seed: int) -> dict[str, Any]:
    """A loss bounded to ignore outliers; the output began so far off that all examples are outliers."""
    g = torch.Generator().manual_seed(seed)
    X = 6 * torch.rand(400, 1, generator=g) - 3
    y = torch.sin(X) + 0.1 * torch.randn(400, 1, generator=g)
    model = mlp(1, 32, 1, activation=nn.SiLU, seed=seed)
    nn.init.constant_(cast(Tensor, model[2].bias), 9.0)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return trained(model, bounded, (X, y), sgd, seed=seed, epochs=30)


@admit("bumps-beside-the-data", "gradient-flat", half="held-out")
def bumps_beside_the_data(seed: int) -> dict[str, Any]:
    """Radial basis functions whose centres lie where there are no data: they are 0 wherever one looks."""
    X, _ = table("iris")
    X = X[:, 2:]
    torch.manual_seed(seed)
    model = Bumps(2, 12, 0.6)
    with torch.no_grad():
        model.centres.add_(9.0)
    y = torch.exp(-(X**2).sum(1, keepdim=True)) + torch.exp(-((X - 1) ** 2).sum(1, keepdim=True))
    adam = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return trained(model, nn.MSELoss(), (X, y), adam, seed=seed, epochs=60)
