"""The three patients of the first lesson: digits, one hidden layer of 32 units, and one thing different."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from diagkit.clinic.digits import digits
from diagkit.clinic.registry import admit
from diagkit.clinic.trained import mlp, trained


@admit("zero-initialized", "symmetric-initialization", also=("saddle-point",))
def zero_initialized(seed: int) -> dict[str, Any]:
    """A bias-free tanh network whose weights were all set to zero; 100 steps of SGD did not move it."""
    model = nn.Sequential(nn.Linear(64, 32, bias=False), nn.Tanh(), nn.Linear(32, 10, bias=False))
    for p in model.parameters():
        nn.init.zeros_(p)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    return trained(model, nn.CrossEntropyLoss(), digits(), sgd, seed=seed, max_steps=100)


@admit("rate-too-large", "learning-rate-too-large")
def rate_too_large(seed: int) -> dict[str, Any]:
    """A tanh network, SGD with momentum, steps too long for the valley: the loss oscillates far up."""
    model = mlp(64, 32, 10, activation=nn.Tanh, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=5.0, momentum=0.9)
    return trained(model, nn.CrossEntropyLoss(), digits(), sgd, seed=seed, max_steps=300)


@admit("healthy", "healthy")
def healthy(seed: int) -> dict[str, Any]:
    """The same network with a rate that suits it."""
    model = mlp(64, 32, 10, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return trained(model, nn.CrossEntropyLoss(), digits(), sgd, seed=seed, epochs=15)
