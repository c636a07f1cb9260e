"""Patients whose units have no slope left, and healthy runs with some such units."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from diagkit.clinic.digits import digits
from diagkit.clinic.registry import admit
from diagkit.clinic.tables import table, waves
from diagkit.clinic.trained import mlp, trained

CE, MSE = nn.CrossEntropyLoss(), nn.MSELoss()


class FunctionalNet(nn.Module):
    """Three layers with the activations written as functions, as much of the code in the wild has them."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(inputs, hidden), nn.Linear(hidden, hidden)
        self.fc3 = nn.Linear(hidden, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.fc3(F.relu(self.fc2(F.relu(self.fc1(x))))))


class WaveConvolutions(nn.Module):
    """Two convolutions along [N, T, 1], the mean over time, logits."""

    def __init__(self, channels: int = 12, classes: int = 3, norm: bool = False) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(1, channels, 5), nn.Conv1d(channels, channels, 5)
        self.norm1 = nn.BatchNorm1d(channels) if norm else nn.Identity()
        self.norm2 = nn.BatchNorm1d(channels) if norm else nn.Identity()
        self.head = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm1(self.first(x.transpose(1, 2))))
        return cast(Tensor, self.head(F.relu(self.norm2(self.second(x))).mean(2)))


@admit("dead-after-a-jump", "dead-units", also=("gradient-flat",))
def dead_after_a_jump(seed: int) -> dict[str, Any]:
    """A few steps at a hundred times the rate closed the second layer's ReLUs; the rate is sane again."""
    model = mlp(64, 48, 24, 10, seed=seed)
    with torch.no_grad():  # where such steps leave the biases
        cast(Tensor, model[2].bias).sub_(60.0)
    sgd = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return trained(model, CE, digits(), sgd, seed=seed, epochs=6)


@admit("dead-functional", "dead-units", half="held-out", also=("gradient-flat",))
def dead_functional(seed: int) -> dict[str, Any]:
    """A regression network with functional ReLUs, all of the first layer's silent, under Adam."""
    torch.manual_seed(seed)
    model = FunctionalNet(10, 24, 1)
    with torch.no_grad():
        model.fc1.bias.fill_(-15.0)
    X, y = table("diabetes")
    adam = torch.optim.Adam(model.parameters(), lr=2e-3)
    return trained(model, MSE, (X, y + 2), adam, seed=seed, epochs=60)


@admit("dead-channels", "dead-units", half="held-out", also=("gradient-flat",))
def dead_channels(seed: int) -> dict[str, Any]:
    """Convolutions along sequences; the second one's channels are 0 for every input."""
    torch.manual_seed(seed)
    model = WaveConvolutions()
    with torch.no_grad():
        cast(Tensor, model.second.bias).fill_(-8.0)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    return trained(model, CE, waves(512, seed), sgd, seed=seed, epochs=15)


@admit("saturated-tanh", "saturated-units", also=("gradient-flat",))
def saturated_tanh(seed: int) -> dict[str, Any]:
    """Two tanh layers with biases of 12, as after an overshoot: every unit says 1, whatever the input."""
    model = mlp(64, 32, 32, 10, activation=nn.Tanh, seed=seed)
    with torch.no_grad():
        cast(Tensor, model[0].bias).add_(12.0)
        cast(Tensor, model[2].bias).add_(12.0)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    return trained(model, CE, digits(), sgd, seed=seed, epochs=6)


@admit("half-dead-and-well", "healthy")
def half_dead_and_well(seed: int) -> dict[str, Any]:
    """More than half of the hidden ReLUs are silent from the start; the others are enough."""
    model = mlp(64, 96, 10, seed=seed)
    with torch.no_grad():
        cast(Tensor, model[0].bias)[:60] = -20.0
    adam = torch.optim.Adam(model.parameters(), lr=2e-3)
    return trained(model, CE, digits(), adam, seed=seed, epochs=15)


@admit("confident-tanh", "healthy", half="held-out")
def confident_tanh(seed: int) -> dict[str, Any]:
    """Large weights: most tanh units are nearly steps, and tell the classes apart so."""
    model = mlp(13, 24, 3, activation=nn.Tanh, seed=seed)
    with torch.no_grad():
        cast(Tensor, model[0].weight).mul_(40.0)
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    return trained(model, CE, table("wine"), adam, seed=seed, epochs=40)
