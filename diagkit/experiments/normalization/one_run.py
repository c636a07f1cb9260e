"""One normalized model, trained and measured: at the start, early, at a matched loss, late."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from diagkit.errors import InputError, NonFiniteError
from diagkit.experiments.normalization.relative_curvature import (
    relative_curvature,
    root_mean_square_curvature,
)
from diagkit.experiments.normalization.setting import Normalization, hidden_weights
from diagkit.experiments.outcome import Outcome
from diagkit.experiments.stable_rate import largest_stable_rate
from diagkit.measure import gradient_predictiveness, hessian_eigenvalues, signal_propagation
from diagkit.objective import Objective
from diagkit.training import train
from diagkit.training.run import StepInfo

TIMES = ("early", "matched", "late")
SMOOTH = 10  # minibatches
TOL = 0.01  # of eigenvalues: seeds differ by far more
# Name -> unit, of what is measured at each of the times.
MEASURES = {
    "lambda_max": "loss per squared weight",
    "relative_lambda_max": "loss",
    "top_over_rms": "ratio",
    "gradient_change": "ratio",
    "smoothness": "loss per squared weight",
}


@dataclass(frozen=True)
class TrainingPlan:
    """Plain SGD, and what is looked at on the way.

    Attributes
    ----------
    lr, batch_size, steps : of the run. early : steps after which the first look is taken.
    matched : the second look is taken where the loss, as the mean of ten minibatches, has come down to this
        share of the first loss of the plain model; the third one is at the end.
    stable_steps : of each trial in the search for the largest stable rate.
    max_examples : on which the surface is measured.
    """

    lr: float = 0.1
    batch_size: int = 32
    steps: int = 300
    early: int = 10
    matched: float = 0.5
    stable_steps: int = 30
    max_examples: int = 128


class Watcher:
    """Follows the size of the hidden weights; keeps copies of the model early, and at the matched loss."""

    def __init__(self, model: nn.Module, plan: TrainingPlan, matched_loss: float) -> None:
        self.weights, self.plan, self.matched_loss = list(hidden_weights(model).values()), plan, matched_loss
        self.models: dict[str, nn.Module] = {}
        self.squares, self.losses = [self._square()], [float("inf")] * SMOOTH

    def on_step(self, info: StepInfo) -> None:
        self.squares.append(self._square())
        self.losses = [*self.losses[1:], info.loss]
        if info.step + 1 == self.plan.early:
            self.models["early"] = copy.deepcopy(info.model)
        if "matched" not in self.models and np.mean(self.losses) <= self.matched_loss:
            self.models["matched"] = copy.deepcopy(info.model)

    @torch.no_grad()
    def _square(self) -> float:
        """Geometric mean of |w_l|^2 over the layers."""
        squares = [float(w.double().square().sum()) for w in self.weights]
        return float(np.exp(np.mean(np.log(np.maximum(squares, 1e-300)))))


def study_run(
    kind: str,
    place: str,
    affine: bool,
    seed: int,
    *,
    make_model: Callable[[], nn.Module],
    loss_fn: Any,
    data: tuple[Tensor, Tensor],
    held_out: tuple[Tensor, Tensor],
    training: TrainingPlan,
) -> Outcome:
    """All measurements of one normalization with one seed; see ``normalization_study`` for their names."""
    plain = make_model()
    with torch.no_grad():
        first = float(loss_fn(copy.deepcopy(plain).eval()(data[0]), data[1]))
    model = Normalization(kind, place, affine).apply(plain)
    numbers = _signals(model, loss_fn, data, training) | _stable(model, loss_fn, data, training, seed)
    watcher = Watcher(model, training, training.matched * first)
    run = train(
        model,
        loss_fn,
        data,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=training.lr),
        max_steps=training.steps,
        batch_size=training.batch_size,
        callbacks=watcher,
        seed=seed,
    )
    if run.ended_by == "max_steps":
        watcher.models["late"] = model
    for when in TIMES:
        found = _surface(watcher.models.get(when), loss_fn, data, training)
        numbers |= {f"{name}_{when}": value for name, value in found.items()}
    rates = training.lr / np.array(watcher.squares)
    numbers |= {"effective_rate_first": rates[0], "effective_rate_last": rates[-1]}
    numbers |= inference(model, loss_fn, held_out, training)
    losses = np.asarray(run.history.loss)
    n = min(len(losses), len(rates))
    series = {"step": np.arange(n), "loss": losses[:n], "effective_rate": rates[:n]}
    return Outcome(numbers, series=series)


def size_run(
    kind: str,
    place: str,
    affine: bool,
    batch_size: int,
    seed: int,
    *,
    make_model: Callable[[], nn.Module],
    loss_fn: Any,
    data: tuple[Tensor, Tensor],
    held_out: tuple[Tensor, Tensor],
    training: TrainingPlan,
) -> dict[str, Any]:
    """Train with another batch size, for as many steps at the same rate; losses at the end."""
    model = Normalization(kind, place, affine).apply(make_model())
    train(
        model,
        loss_fn,
        data,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=training.lr),
        max_steps=training.steps,
        batch_size=batch_size,
        seed=seed,
    )
    return inference(model, loss_fn, held_out, training)


@torch.no_grad()
def inference(
    model: nn.Module, loss_fn: Any, held_out: tuple[Tensor, Tensor], training: TrainingPlan
) -> dict[str, float]:
    """Held-out loss as it is used, with running statistics, and with those of batches as in training."""
    X, y = held_out
    size = min(training.batch_size, len(X))
    whole = len(X) - len(X) % size  # no last batch of another size
    used = float(loss_fn(copy.deepcopy(model).eval()(X[:whole]), y[:whole]))
    by_batch, probe = [], copy.deepcopy(model).train()
    for start in range(0, whole, size):
        by_batch.append(float(loss_fn(probe(X[start : start + size]), y[start : start + size])))
    batch = float(np.mean(by_batch))
    return {"loss_running": used, "loss_batch": batch, "gap": used - batch}


def _objective(model: nn.Module, loss_fn: Any, data: Any, training: TrainingPlan) -> Objective:
    size = training.batch_size
    whole = max(size, min(training.max_examples, len(data[0])) // size * size)
    X, y = data
    return Objective(model, loss_fn, (X[:whole], y[:whole]), norm_stats="batch", batch_size=size)


def _surface(model: nn.Module | None, loss_fn: Any, data: Any, training: TrainingPlan) -> dict[str, float]:
    """The surface as training sees it, under batch statistics; NaN where the run has left the numbers."""
    nothing = dict.fromkeys([*MEASURES, "lambda_max_error", "loss"], float("nan"))
    if model is None:
        return nothing
    try:
        obj = _objective(model, loss_fn, data, training)
        top = hessian_eigenvalues(obj, 1, tol=TOL)
        foretold = gradient_predictiveness(obj, training.lr)
        return {
            "lambda_max": float(top.values[0]),
            "lambda_max_error": float(top.residuals[0]),
            "relative_lambda_max": relative_curvature(obj, hidden_weights(model), tol=TOL).value,
            "top_over_rms": float(top.values[0]) / root_mean_square_curvature(obj),
            "gradient_change": float(foretold.relative_changes.max()),
            "smoothness": foretold.smoothness,
            "loss": foretold.loss,
        }
    except NonFiniteError:
        return nothing


def _signals(model: nn.Module, loss_fn: Any, data: Any, training: TrainingPlan) -> dict[str, float]:
    found = signal_propagation(_objective(model, loss_fn, data, training))
    return {"signal_growth": found.signal_growth.factor, "gradient_growth": found.gradient_growth.factor}


def _stable(model: nn.Module, loss_fn: Any, data: Any, training: TrainingPlan, seed: int) -> dict[str, float]:
    try:
        found = largest_stable_rate(
            model,
            loss_fn,
            data,
            first=training.lr,
            steps=training.stable_steps,
            batch_size=training.batch_size,
            tol=0.1,
            seed=seed,
        )
    except InputError:  # a loss that is not finite at the start
        return {"stable_rate": float("nan")}
    return {"stable_rate": found.rate}
