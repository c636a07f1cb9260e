"""Parts that patients are made of: networks, and the run that brought them where they are."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from diagkit.training import train

Data = tuple[Tensor, Tensor]


def mlp(*widths: int, activation: type[nn.Module] = nn.ReLU, seed: int = 0) -> nn.Sequential:
    """Fully connected layers of these widths with an activation between them."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b), activation()]
    return nn.Sequential(*layers[:-1])


def trained(
    model: nn.Module,
    loss_fn: Callable[..., Tensor],
    data: Data,
    optimizer: torch.optim.Optimizer,
    *,
    seed: int,
    batch_size: int = 32,
    **options: Any,
) -> dict[str, Any]:
    """Train and return the parts of a patient; ``options`` go to :func:`diagkit.training.train`.

    A run that became non-finite keeps the parameters that it ended with.
    """
    run = train(model, loss_fn, data, optimizer=optimizer, seed=seed, batch_size=batch_size, **options)
    return {
        "model": model,
        "loss_fn": loss_fn,
        "data": data,
        "batch_size": batch_size,
        "optimizer": optimizer,
        "history": run.history,
    }
