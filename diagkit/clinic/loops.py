"""Runs in loops of their own: the step that was taken is part of the patient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from diagkit.training import History

Pair = tuple[Tensor, Tensor]


def shuffled(data: Pair, batch_size: int, seed: int) -> Iterator[Pair]:
    """One epoch in another order each time; a single example that is left over is left out."""
    X, y = data
    order = torch.randperm(len(X), generator=torch.Generator().manual_seed(seed))
    return ((X[i], y[i]) for i in order.split(batch_size) if len(i) > 1)


def in_own_loop(
    train_step: Callable[[Any], float],
    model: nn.Module,
    loss_fn: Callable[..., Tensor] | None,
    data: Any,
    optimizer: torch.optim.Optimizer,
    *,
    seed: int,
    epochs: int,
    batch_size: int = 32,
    after_epoch: Callable[[], object] | None = None,
    **parts: Any,
) -> dict[str, Any]:
    """Call ``train_step(batch)`` -> loss for so many epochs and return the parts of a patient.

    ``after_epoch`` is the part of the loop between epochs. ``parts`` are handed on, as ``scheduler`` is.
    """
    losses, rates = [], []
    for epoch in range(epochs):
        for batch in shuffled(data, batch_size, seed + 1000 * epoch) if isinstance(data, tuple) else data:
            rates.append(float(optimizer.param_groups[0]["lr"]))
            losses.append(float(train_step(batch)))
        if after_epoch is not None:
            after_epoch()
    return {
        "model": model,
        "loss_fn": loss_fn,
        "data": data,
        "batch_size": batch_size,
        "optimizer": optimizer,
        "history": History.from_dict({"loss": losses, "lr": rates}),
        "train_step": train_step,
        **parts,
    }


def plain_step(
    model: nn.Module, loss_fn: Callable[..., Tensor], optimizer: torch.optim.Optimizer
) -> Callable[[Pair], float]:
    """Zero the gradients, loss, backward, step: nothing is wrong with it."""

    def train_step(batch: Pair) -> float:
        inputs, targets = batch
        model.train()
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return train_step
