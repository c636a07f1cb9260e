"""One kind of normalization on one network: signals over depth, a short run, curvature on the way."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from diagkit.errors import InputError, NonFiniteError
from diagkit.experiments.normalization.setting import Normalization, refuse_batches_of_one
from diagkit.experiments.seed_runs import made
from diagkit.measure import SignalPropagation, hessian_eigenvalues, signal_propagation
from diagkit.objective import Objective, check_count, check_positive, check_seed
from diagkit.result import Result
from diagkit.training import Minibatches, train
from diagkit.training.run import StepInfo
from diagkit.work import interrupted, progress

PLAIN = "none"
LOOKS = (0.0, 0.1, 0.4, 1.0)  # shares of the steps at which curvature is measured
EXAMPLES = 128  # on which signals and curvature are measured, as one batch
TOL = 0.05
LATE = 10  # steps over which the last loss is averaged


@dataclass(frozen=True)
class NormalizationTask:
    """Plain SGD on minibatches, with one kind of :func:`diagkit.with_normalization`.

    Raises
    ------
    InputError : an unknown kind, numbers that are not positive.
    """

    kind: str = PLAIN
    rate: float = 0.1
    steps: int = 100
    batch_size: int = 32

    def __post_init__(self) -> None:
        Normalization(self.kind)
        check_positive("rate", self.rate, write="0.1")
        check_count("steps", self.steps, least=2, write="100")
        check_count("batch_size", self.batch_size, write="32")

    @property
    def looks(self) -> np.ndarray:
        """Steps at which curvature is measured, each once."""
        return np.unique(np.round(np.array(LOOKS) * self.steps).astype(int))


@dataclass(frozen=True)
class ShortRun:
    """Losses [S] of the minibatches, each before its step; ``lambda_max`` [C] after ``task.looks`` steps.

    Both are shorter where the run left the numbers; ``lambda_max`` is empty before it was measured.
    """

    losses: np.ndarray
    lambda_max: np.ndarray

    @property
    def diverged(self) -> bool:
        """Not finite, or above ten times the first loss at the end."""
        return not np.isfinite(self.losses[-1]) or bool(self.losses[-1] > 10 * self.losses[0])

    @property
    def late_loss(self) -> float:
        """Mean of the last ten losses; inf where the run diverged."""
        return float("inf") if self.diverged else float(self.losses[-LATE:].mean())


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class NormalizationRun(Result):
    """What is known so far; see :func:`normalization_run_stages`.

    Attributes
    ----------
    task : as given. signals : at the start. runs : kind -> its run, "none" among them.
    """

    task: NormalizationTask
    signals: SignalPropagation
    runs: Mapping[str, ShortRun] = field(default_factory=dict)

    @property
    def chosen(self) -> ShortRun | None:
        """The run of the task's kind, None before it is there."""
        return self.runs.get(self.task.kind)

    def to_frame(self) -> pd.DataFrame:
        """One row per kind and step: kind, step, loss."""
        return pd.DataFrame(
            [
                {"kind": kind, "step": step, "loss": float(loss)}
                for kind, run in self.runs.items()
                for step, loss in enumerate(run.losses)
            ]
        )

    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = {"kind": self.task.kind, "gradient": self.signals.verdict}
        found |= {"gradient_growth": self.signals.gradient_growth.factor}
        if self.chosen is not None:
            found["late_loss"] = self.chosen.late_loss
            if self.chosen.lambda_max.size:
                found["lambda_max_first"] = float(self.chosen.lambda_max[0])
        return found


def normalization_run(
    make_model: Callable[[], nn.Module],
    loss_fn: Callable[..., Tensor],
    data: tuple[Tensor, Tensor],
    task: NormalizationTask | None = None,
    *,
    seed: int = 0,
) -> NormalizationRun:
    """The last of :func:`normalization_run_stages`.

    Example
    -------
    >>> X = torch.randn(64, 4, generator=torch.manual_seed(0))
    >>> net = lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> task = NormalizationTask("layer", steps=20)
    >>> found = normalization_run(net, nn.CrossEntropyLoss(), (X, (X[:, 0] > 0).long()), task)
    >>> list(found.runs), len(found.chosen.losses), task.looks.tolist(), len(found.chosen.lambda_max)
    (['layer', 'none'], 20, [0, 2, 8, 20], 4)
    """
    *_, last = normalization_run_stages(make_model, loss_fn, data, task, seed=seed)
    return last


def normalization_run_stages(
    make_model: Callable[[], nn.Module],
    loss_fn: Callable[..., Tensor],
    data: tuple[Tensor, Tensor],
    task: NormalizationTask | None = None,
    *,
    seed: int = 0,
) -> Iterator[NormalizationRun]:
    r"""Signals at the start; then the losses of this kind, those of "none", and the curvature of both.

    Curvature is the largest eigenvalue of the Hessian on the surface that training sees: the statistics are
    those of one batch of up to 128 examples, differentiated through.

    Parameters
    ----------
    make_model : a new plain model, without normalization. data : (X, y).

    Raises
    ------
    InputError : what :func:`diagkit.with_normalization` refuses; batch statistics of one example.
    """
    task = task or NormalizationTask()
    check_seed(seed)
    plain = made(make_model, seed)
    refuse_batches_of_one(plain, Normalization(task.kind), Minibatches(data, batch_size=task.batch_size))
    kinds = (task.kind,) if task.kind == PLAIN else (task.kind, PLAIN)
    models = {kind: Normalization(kind).apply(plain) for kind in kinds}
    signals = signal_propagation(_objective(models[task.kind], loss_fn, data))
    found = NormalizationRun(task=task, signals=signals, seed=seed, complete=False)
    yield found
    kept: dict[str, list[nn.Module]] = {}
    with progress("runs", 2 * len(kinds)) as advance:
        for kind in kinds:
            losses, kept[kind] = _trained(models[kind], loss_fn, data, task, seed)
            if interrupted():
                return
            found = replace(found, runs={**found.runs, kind: ShortRun(losses, np.empty(0))})
            advance(1)
            yield found
        for kind in kinds:
            tops = []
            for model in kept[kind]:
                tops.append(_lambda_max(model, loss_fn, data))
                if interrupted():
                    return
            measured = replace(found.runs[kind], lambda_max=np.array(tops))
            found = replace(found, runs={**found.runs, kind: measured}, complete=kind == PLAIN)
            advance(1)
            yield found


def _objective(model: nn.Module, loss_fn: Any, data: tuple[Tensor, Tensor]) -> Objective:
    X, y = (part[:EXAMPLES] for part in data)
    return Objective(model, loss_fn, (X, y), norm_stats="batch", batch_size=len(X))


def _trained(
    model: nn.Module, loss_fn: Any, data: Any, task: NormalizationTask, seed: int
) -> tuple[np.ndarray, list[nn.Module]]:
    """Losses, and copies of the model at the looks that it came to."""
    looks = set(task.looks.tolist())
    kept = [copy.deepcopy(model)]

    def keep(info: StepInfo) -> None:
        if info.step + 1 in looks:
            kept.append(copy.deepcopy(info.model))

    run = train(
        model,
        loss_fn,
        data,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=task.rate),
        max_steps=task.steps,
        batch_size=min(task.batch_size, len(data[0])),
        callbacks=keep,
        seed=seed,
    )
    return np.asarray(run.history.loss), kept


def _lambda_max(model: nn.Module, loss_fn: Any, data: Any) -> float:
    """NaN where the run has left the numbers."""
    try:
        return float(hessian_eigenvalues(_objective(model, loss_fn, data), 1, tol=TOL).values[0])
    except (NonFiniteError, InputError):
        return float("nan")
