"""One recipe, all seeds: trained, and evaluated on the way with the same batches for every recipe."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from diagkit.experiments.batch_size.evaluation import evaluate, evaluation_batches, load
from diagkit.experiments.kept_points import flat_buffers
from diagkit.experiments.outcome import Outcome
from diagkit.experiments.seed_runs import SeedRuns, made
from diagkit.experiments.train_seeds import train_seeds
from diagkit.objective.batches import Batch
from diagkit.training.run import flat_parameters
from diagkit.work import interrupted

OptimizerAt = Callable[[list[Tensor], float], torch.optim.Optimizer]


def sgd(parameters: list[Tensor], rate: float) -> torch.optim.Optimizer:
    """Plain stochastic gradient descent."""
    return torch.optim.SGD(parameters, lr=rate)


@dataclass(frozen=True)
class Task:
    """What all runs of a study have in common.

    Attributes
    ----------
    optimizer : a function of the parameters and the rate. checkpoints : evaluations on the way, at most.
    eval_batch_size : of all evaluations, for a loss that depends on the batch; None where it does not.
    """

    make_model: Callable[[], nn.Module]
    loss_fn: Callable[..., Tensor]
    data: Any
    val_data: Any
    optimizer: OptimizerAt
    checkpoints: int
    eval_batch_size: int | None


def train_recipe(
    task: Task, *, batch_size: int, rate: float, steps: int, seeds: Sequence[int]
) -> list[Outcome]:
    """Train one model per seed and evaluate it at :func:`checkpoint_steps`, and before the first step.

    The initialization follows from the seed alone; so does the order of the examples in each epoch, which
    is cut into more or fewer batches. Series: step, epoch, train_loss, train_accuracy, test_loss,
    test_accuracy, distance (from the start); NaN after the end of a run that diverged. Tensors: theta
    [C + 1, P] and buffers [C + 1, Q] at the same steps. Scalars are those at the end.
    """
    at = checkpoint_steps(steps, task.checkpoints)
    runs = train_seeds(
        task.make_model,
        task.loss_fn,
        task.data,
        optimizer=lambda parameters: task.optimizer(parameters, rate),
        seeds=seeds,
        max_steps=steps,
        batch_size=batch_size,
        keep_at=at,
    )
    if not runs.complete:
        return []  # dropped by the sweep: it was interrupted
    tests = {"train": evaluation_batches(task.data, task.eval_batch_size)}
    if task.val_data is not None:
        tests["test"] = evaluation_batches(task.val_data, task.eval_batch_size)
    return [_outcome(task, runs, k, tests, at, batch_size) for k in range(len(runs.seeds))]


def checkpoint_steps(steps: int, count: int) -> tuple[int, ...]:
    """Up to ``count`` numbers of steps from 1 to ``steps``, half of them in equal ratios, half evenly spaced.

    The loss falls fast at first and slowly later: neither scale alone follows both.

    Example
    -------
    >>> checkpoint_steps(100, 8)
    (1, 5, 22, 25, 50, 75, 100)
    """
    ratios = np.geomspace(1, steps, max(1, count // 2)) if steps > 1 else [1.0]
    even = np.linspace(0, steps, max(1, count - count // 2) + 1)[1:]
    return tuple(sorted({max(1, round(float(x))) for x in [*ratios, *even]}))


def _outcome(
    task: Task,
    runs: SeedRuns,
    k: int,
    tests: Mapping[str, Sequence[Batch]],
    at: tuple[int, ...],
    batch_size: int,
) -> Outcome:
    """What the k-th run came to."""
    model = made(task.make_model, runs.seeds[k])
    theta, buffers = _points(model, runs, k, len(at))
    rows = []
    for step, point, held in zip((0, *at), theta, buffers, strict=True):
        row = {"step": float(step), "distance": float((point - theta[0]).double().norm())}
        for name in ("train", "test"):
            found = {"loss": float("nan"), "accuracy": float("nan")}
            if name in tests and bool(point.isfinite().all()) and not interrupted():
                found = evaluate(load(model, point, held), task.loss_fn, tests[name])
            row |= {f"{name}_{what}": value for what, value in found.items()}
        rows.append(row)
    per_epoch = _batches_per_epoch(task.data, batch_size)
    series = {name: [row[name] for row in rows] for name in rows[0]}
    series["epoch"] = [row["step"] / per_epoch for row in rows]
    last = {name: values[-1] for name, values in series.items() if name not in ("step", "epoch")}
    done = {"steps_taken": int(runs.steps[k]), "epochs": float(runs.steps[k] / per_epoch)}
    diverged = bool(runs.diverged[k]) or not np.isfinite(last["train_loss"])
    scalars = last | done | {"diverged": diverged}
    return Outcome(scalars, series, {"theta": theta, "buffers": buffers})


def _points(model: nn.Module, runs: SeedRuns, k: int, count: int) -> tuple[Tensor, Tensor]:
    """Parameters [C + 1, P] and buffers [C + 1, Q], the start first."""
    start = flat_parameters([p for p in model.parameters() if p.requires_grad])
    held = flat_buffers(model)
    theta = torch.full((count + 1, len(start)), float("nan"), dtype=start.dtype)
    buffers = torch.empty(count + 1, 0)
    theta[0] = start
    if runs.kept.numel():
        theta[1:] = runs.kept[k]
    if runs.kept_buffers.numel():
        buffers = torch.cat([held[None], runs.kept_buffers[k]])
    return theta, buffers


def _batches_per_epoch(data: Any, batch_size: int) -> int:
    return math.ceil(num_examples(data) / batch_size)


def num_examples(data: Any) -> int:
    """N of (X, y) or of a dataset.

    Example
    -------
    >>> num_examples((torch.zeros(7, 2), torch.zeros(7)))
    7
    """
    return len(data[1]) if isinstance(data, (tuple, list)) else len(data)
