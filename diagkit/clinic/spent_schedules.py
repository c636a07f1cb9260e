"""Schedules that ended before the training did, and such as ended when it was done."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim import lr_scheduler

from diagkit.clinic.digits import digits
from diagkit.clinic.networks import SequenceClassifier
from diagkit.clinic.registry import admit
from diagkit.clinic.tables import linear_data, table, waves
from diagkit.clinic.trained import mlp, trained

CE, MSE = nn.CrossEntropyLoss(), nn.MSELoss()


@admit("line-to-zero-too-soon", "schedule-ended-early", also=("schedule-misfed",))
def line_to_zero_too_soon(seed: int) -> dict[str, Any]:
    """A linear decay over 100 steps, left over from a first test; the run has 600."""
    model = mlp(64, 32, 10, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.05)
    schedule = lr_scheduler.PolynomialLR(sgd, total_iters=100)
    run = trained(model, CE, digits(), sgd, seed=seed, max_steps=600, scheduler=schedule)
    return run | {"scheduler": schedule}


@admit("decayed-when-done", "converged", also=("healthy",))
def decayed_when_done(seed: int) -> dict[str, Any]:
    """A linear decay to zero, on a noisy regression that was at its minimum long before."""
    model = mlp(10, 1, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.05)
    schedule = lr_scheduler.PolynomialLR(sgd, total_iters=500)
    data = linear_data(1000, 10, 2.0, seed)
    run = trained(model, MSE, data, sgd, seed=seed, batch_size=100, max_steps=800, scheduler=schedule)
    return run | {"scheduler": schedule}


@admit("decayed-while-learning", "schedule-ended-early", half="held-out", also=("schedule-misfed",))
def decayed_while_learning(seed: int) -> dict[str, Any]:
    """An LSTM with Adam whose rate loses 4 % at every step: gone before the sequences were told apart."""
    torch.manual_seed(seed)
    model = SequenceClassifier()
    adam = torch.optim.Adam(model.parameters(), lr=5e-3)
    schedule = lr_scheduler.ExponentialLR(adam, 0.96)
    run = trained(model, CE, waves(512, seed), adam, seed=seed, max_steps=400, scheduler=schedule)
    return run | {"scheduler": schedule}


@admit("cosine-over-the-table", "converged", half="held-out", also=("healthy",))
def cosine_over_the_table(seed: int) -> dict[str, Any]:
    """A linear model of a table at its minimum, and a cosine that went to zero on the way."""
    model = mlp(10, 1, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = lr_scheduler.CosineAnnealingLR(sgd, 1500)
    data = table("diabetes")
    run = trained(model, MSE, data, sgd, seed=seed, batch_size=221, max_steps=1500, scheduler=schedule)
    return run | {"scheduler": schedule}
