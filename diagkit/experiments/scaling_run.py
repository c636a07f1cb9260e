"""One run on scaled inputs: the examples that are trained on, the rate, the steps to a given loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from diagkit.errors import InputError
from diagkit.experiments.outcome import Outcome
from diagkit.measure import hessian_eigenvalues
from diagkit.objective import Objective
from diagkit.training import fit_scaling, train
from diagkit.training.feature_scaling import condition_number

RATES = ("fixed", "1/lambda_max", "Adam")
TRAIN_SHARE = 0.8


def check_scaling_data(data: Any) -> tuple[Tensor, Tensor]:
    """Inputs [N, d] and targets [N, ...] as tensors.

    Raises
    ------
    InputError : other shapes, fewer than 4 examples.
    """
    X, y = (torch.as_tensor(part) for part in data)
    if X.ndim != 2 or len(X) != len(y) or len(X) < 4:
        raise InputError(
            f"inputs {tuple(X.shape)} and targets {tuple(y.shape)}", allowed="[N, d] and [N, ...], N >= 4"
        )
    return X, y


def training_part(num_examples: int, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of the 80 % that are trained on, and of the rest, drawn by the seed.

    Example
    -------
    >>> [len(part) for part in training_part(10, seed=0)]
    [8, 2]
    """
    order = torch.randperm(num_examples, generator=torch.Generator().manual_seed(seed))
    cut = max(2, int(TRAIN_SHARE * num_examples))
    return order[:cut], order[cut:]


def scaling_run(
    kind: str,
    rate: str,
    seed: int,
    *,
    make_model: Callable[[], nn.Module],
    loss_fn: Any,
    X: Tensor,
    y: Tensor,
    target: float,
    lr: float,
    adam_lr: float,
    max_steps: int,
) -> Outcome:
    """Train once with full gradients on inputs of this scaling; see ``feature_scaling_study``."""
    model = make_model()
    chosen, rest = training_part(len(X), seed)
    scaling = fit_scaling(X[chosen], kind)
    train_data = scaling.apply(X[chosen]), y[chosen]
    top = float(hessian_eigenvalues(Objective(model, loss_fn, train_data), 1).values[0])
    chosen_lr = {"fixed": lr, "1/lambda_max": 1.0 / top if top > 0 else lr, "Adam": adam_lr}[rate]
    method = torch.optim.Adam if rate == "Adam" else torch.optim.SGD
    run = train(
        model,
        loss_fn,
        train_data,
        optimizer=lambda parameters: method(parameters, lr=chosen_lr),
        max_steps=max_steps + 1,  # the loss of step t is that after t steps
        batch_size=len(chosen),
        callbacks=lambda info: info.loss <= target,
        seed=seed,
    )
    losses = np.atleast_1d(np.asarray(run.history.loss, dtype=float))  # NaN where no step was taken
    reached = bool(losses[-1] <= target)
    with torch.no_grad():
        held_out = float(loss_fn(model(scaling.apply(X[rest])), y[rest])) if len(rest) else float("nan")
    rows = np.column_stack([train_data[0].double().cpu().numpy()[:, ~scaling.constant], np.ones(len(chosen))])
    return Outcome(
        {
            "condition": scaling.condition_after,
            "condition_with_bias": condition_number(rows, float(torch.finfo(train_data[0].dtype).eps)),
            "lambda_max": top,
            "lr": chosen_lr,
            "steps": len(losses) - 1 if reached else max_steps,
            "reached": reached,
            "loss": float(losses[-1]),
            "held_out_loss": held_out,
        },
        series={"step": np.arange(len(losses)), "loss": losses},
    )
