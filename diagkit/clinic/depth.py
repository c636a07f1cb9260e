"""Deep networks in which the gradient vanishes or explodes, and deep ones that are well."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from diagkit.clinic.digits import digits
from diagkit.clinic.registry import admit
from diagkit.clinic.tables import table, waves
from diagkit.clinic.trained import mlp, trained

CE, MSE = nn.CrossEntropyLoss(), nn.MSELoss()


class ElmanClassifier(nn.Module):
    """A plain recurrent network over [N, T, 1], logits from its last state."""

    def __init__(self, hidden: int = 24, classes: int = 3, nonlinearity: str = "relu") -> None:
        super().__init__()
        self.rnn = nn.RNN(1, hidden, nonlinearity=nonlinearity, batch_first=True)
        self.head = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.head(self.rnn(x)[0][:, -1]))


@admit("deep-sigmoid", "vanishing-gradients", also=("gradient-flat",))
def deep_sigmoid(seed: int) -> dict[str, Any]:
    """Five hidden layers of sigmoids, SGD: at ln 10 from the first epoch to the last."""
    model = mlp(64, *[32] * 5, 10, activation=nn.Sigmoid, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return trained(model, CE, digits(), sgd, seed=seed, epochs=8)


@admit("deep-and-tiny", "vanishing-gradients", half="held-out", also=("gradient-flat", "saddle-point"))
def deep_and_tiny(seed: int) -> dict[str, Any]:
    """Eight tanh layers with weights of standard deviation 0.05, for a regression."""
    model = mlp(10, *[24] * 8, 1, activation=nn.Tanh, seed=seed)
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=0.05)
            nn.init.zeros_(layer.bias)
    sgd = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return trained(model, MSE, table("diabetes"), sgd, seed=seed, epochs=20)


@admit("deep-sigmoid-table", "vanishing-gradients", half="held-out", also=("gradient-flat",))
def deep_sigmoid_table(seed: int) -> dict[str, Any]:
    """Six layers of sigmoids on a table of two classes: the output bias is all that learns."""
    model = mlp(30, *[20] * 6, 2, activation=nn.Sigmoid, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.5)
    return trained(model, CE, table("breast_cancer"), sgd, seed=seed, epochs=20)


@admit("deep-and-large", "exploding-gradients", also=("learning-rate-too-large",))
def deep_and_large(seed: int) -> dict[str, Any]:
    """Eight ReLU layers with weights three times He's: signals and gradients grow thousandfold."""
    model = mlp(64, *[48] * 7, 10, seed=seed)
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            with torch.no_grad():
                layer.weight.mul_(3.0)
            nn.init.zeros_(layer.bias)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    return trained(model, CE, digits(), adam, seed=seed, epochs=6)


@admit("recurrent-and-large", "exploding-gradients", half="held-out", also=("learning-rate-too-large",))
def recurrent_and_large(seed: int) -> dict[str, Any]:
    """A recurrent ReLU network whose recurrent weights double the state at every step."""
    torch.manual_seed(seed)
    model = ElmanClassifier()
    nn.init.orthogonal_(cast(Tensor, model.rnn.weight_hh_l0), gain=2.0)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    return trained(model, CE, waves(512, seed), adam, seed=seed, epochs=8)


@admit("deep-and-well", "healthy")
def deep_and_well(seed: int) -> dict[str, Any]:
    """Eight ReLU layers with He's initialization, under Adam."""
    model = mlp(64, *[48] * 7, 10, seed=seed)
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    return trained(model, CE, digits(), adam, seed=seed, epochs=15)


@admit("sigmoids-that-learn", "healthy", half="held-out")
def sigmoids_that_learn(seed: int) -> dict[str, Any]:
    """Three layers of sigmoids: little gradient arrives at the first, and Adam makes enough of it."""
    model = mlp(30, 24, 24, 24, 2, activation=nn.Sigmoid, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    return trained(model, CE, table("breast_cancer"), adam, seed=seed, epochs=40)
