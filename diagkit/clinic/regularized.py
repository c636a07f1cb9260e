"""Runs held back by weight decay, by clipping, or by an early spike; and such as carry all three well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from diagkit.clinic.digits import digits
from diagkit.clinic.networks import SequenceClassifier
from diagkit.clinic.registry import admit
from diagkit.clinic.tables import table, waves
from diagkit.clinic.trained import Data, mlp, trained
from diagkit.training import Recorder

CE, MSE = nn.CrossEntropyLoss(), nn.MSELoss()


def clipped_run(
    model: nn.Module,
    loss_fn: Callable[..., Tensor],
    data: Data,
    optimizer: torch.optim.Optimizer,
    *,
    norm: float,
    seed: int,
    steps: int,
    tell: bool = False,
) -> dict[str, Any]:
    """A loop that clips, with the norms logged after clipping, or (``tell``) the limit beside the loss."""
    recorder = Recorder(model, optimizer)
    g = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        chosen = torch.randint(0, len(data[0]), (32,), generator=g)
        optimizer.zero_grad()
        loss = loss_fn(model(data[0][chosen]), data[1][chosen])
        loss.backward()
        before = torch.nn.utils.clip_grad_norm_(model.parameters(), norm)
        optimizer.step()
        recorder.log(loss=loss)
        if tell:
            recorder.log(max_grad_norm=norm, grad_norm=before)
    parts = {"model": model, "loss_fn": loss_fn, "data": data, "optimizer": optimizer}
    return parts | {"history": recorder.history}


@admit("decayed-to-nothing", "weight-decay-too-strong", also=("saddle-point",))
def decayed_to_nothing(seed: int) -> dict[str, Any]:
    """SGD with a weight decay of 0.1, copied from a repository in which it had no effect."""
    model = mlp(64, 32, 10, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    return trained(model, CE, digits(), sgd, seed=seed, epochs=12)


@admit("decayed-regression", "weight-decay-too-strong", half="held-out", also=("saddle-point",))
def decayed_regression(seed: int) -> dict[str, Any]:
    """AdamW with a decay of 20 on a regression: the weights are pulled in as fast as they grow."""
    X, _ = table("diabetes")
    y = torch.sin(X[:, :1]) + X[:, 1:2] * X[:, 2:3]
    model = mlp(10, 32, 1, activation=nn.Tanh, seed=seed)
    adamw = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=20.0)
    return trained(model, MSE, (X, y), adamw, seed=seed, epochs=60)


@admit("decay-as-it-should-be", "healthy")
def decay_as_it_should_be(seed: int) -> dict[str, Any]:
    """A weight decay of 0.003 keeps the loss above where it could be, as it is meant to."""
    model = mlp(64, 32, 10, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=3e-3)
    return trained(model, CE, digits(), sgd, seed=seed, epochs=20)


@admit("decoupled-decay", "healthy", half="held-out")
def decoupled_decay(seed: int) -> dict[str, Any]:
    """AdamW with a decay of 0.1 on a table."""
    model = mlp(13, 32, 3, seed=seed)
    adamw = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.1)
    return trained(model, CE, table("wine"), adamw, seed=seed, batch_size=16, epochs=40)


@admit("clipped-to-nothing", "clipping-too-tight")
def clipped_to_nothing(seed: int) -> dict[str, Any]:
    """SGD with the gradient clipped to a norm of 0.003; the norms were logged after clipping."""
    model = mlp(64, 32, 10, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    return clipped_run(model, CE, digits(), sgd, norm=0.003, seed=seed, steps=500)


@admit("clipped-sequences", "clipping-too-tight", half="held-out")
def clipped_sequences(seed: int) -> dict[str, Any]:
    """An LSTM with momentum, clipped to 0.0005; the log has the limit, and the norms before clipping."""
    torch.manual_seed(seed)
    model = SequenceClassifier()
    sgd = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    return clipped_run(model, CE, waves(512, seed), sgd, norm=5e-4, seed=seed, steps=400, tell=True)


@admit("every-step-clipped", "healthy")
def every_step_clipped(seed: int) -> dict[str, Any]:
    """Adam with every step clipped to a norm of 0.01: no harm, its steps have a scale of their own."""
    model = mlp(64, 32, 10, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    return clipped_run(model, CE, digits(), adam, norm=0.01, seed=seed, steps=1000)


@admit("clipped-and-well", "healthy", half="held-out")
def clipped_and_well(seed: int) -> dict[str, Any]:
    """SGD with momentum, clipped to a norm of 1, which meets the first steps only."""
    model = mlp(30, 24, 2, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return clipped_run(model, CE, table("breast_cancer"), sgd, norm=1.0, seed=seed, steps=600, tell=True)
