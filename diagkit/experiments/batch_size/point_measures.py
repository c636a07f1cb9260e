"""Sharpness and gradient noise of a trained model, as a row of numbers with their errors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from diagkit.errors import InputError, NonFiniteError
from diagkit.experiments.batch_size.evaluation import evaluation_batches, load
from diagkit.experiments.batch_size.training_runs import Task
from diagkit.experiments.seed_runs import made
from diagkit.measure import gradient_noise, hessian_eigenvalues, hessian_trace
from diagkit.measure.probes import loss_noise
from diagkit.measure.sharpness.keskar import keskar_sharpness
from diagkit.measure.sharpness.neighbourhood import Start
from diagkit.objective import Objective

# Keskar's box at one random start, ten iterations from each of four; 24 products for the trace.
NUM_RANDOM, STEPS, TRACE_HVPS, EPS, TOL = 1, 10, 24, 1e-3, 1e-2
LEAST_EXAMPLES = 4  # for the gradient's noise
MEASURES = (
    "lambda_max",
    "lambda_max_error",
    "trace",
    "trace_sem",
    "keskar",
    "keskar_error",
    "gradient_norm",
    "noise_scale",
    "noise_low",
    "noise_high",
    "noise_resolved",
)
UNKNOWN = dict.fromkeys(MEASURES, float("nan")) | {"noise_resolved": False}
CHOICES = ("lambda_max", "trace", "keskar", "noise_scale")  # in order of their price but for the last


def check_measures(measures: Any) -> tuple[str, ...]:
    """Known measures, in the order of ``CHOICES``; none for learning curves alone.

    Raises
    ------
    InputError : an unknown one.

    Example
    -------
    >>> check_measures(["trace", "lambda_max"])
    ('lambda_max', 'trace')
    """
    several = isinstance(measures, Iterable) and not isinstance(measures, str)
    chosen = list(measures) if several else [measures]
    if any(name not in CHOICES for name in chosen):
        raise InputError(
            f"measures = {measures!r}", allowed=f"some of {list(CHOICES)}", write='measures=["lambda_max"]'
        )
    return tuple(name for name in CHOICES if name in chosen)


class Points:
    """Parameters and buffers of runs at the points to be measured, by settings and seed.

    A class of its own, so that the folder of a sweep knows it by its name: the points follow from runs that
    are kept, and checked, in a folder of theirs.
    """

    def __init__(self) -> None:
        self._table: dict[tuple[Any, ...], tuple[Tensor, Tensor]] = {}

    def add(self, key: tuple[Any, ...], theta: Tensor, buffers: Tensor) -> None:
        self._table[key] = (theta.clone(), buffers.clone())

    def get(self, key: tuple[Any, ...]) -> tuple[Tensor, Tensor] | None:
        return self._table.get(key)


def measure_point(
    task: Task,
    points: Points,
    max_examples: int | None,
    measures: tuple[str, ...] = CHOICES,
    *,
    batch_size: int,
    rate: float,
    steps: int,
    target: float | None,
    seed: int,
) -> dict[str, Any]:
    """Largest eigenvalue, trace, Keskar's sharpness, gradient norm and noise scale on the training data.

    Keskar's sharpness (percent, full space, eps = 1e-3) is a lower bound; its error says how far the next
    best of four searches ended below. NaN for a run that diverged or did not come to the point.

    Parameters
    ----------
    points : holds the parameters. target : the training loss of the point; None for the end of the run.
    max_examples : so many random training examples at most. measures : see :func:`check_measures`; what is
        not among them is NaN.
    """
    found = points.get((batch_size, rate, steps, target, seed))
    if not measures or found is None or not bool(found[0].isfinite().all()):
        return dict(UNKNOWN)
    model = load(made(task.make_model, seed), *found)
    if task.eval_batch_size is None:
        obj = Objective(model, task.loss_fn, task.data, max_examples=max_examples, process_group=False)
    else:  # cut as for every other evaluation
        batches = [b.payload for b in evaluation_batches(task.data, task.eval_batch_size)]
        most = max(1, (max_examples or len(batches) * task.eval_batch_size) // task.eval_batch_size)
        obj = Objective(model, task.loss_fn, batches[:most], process_group=False)
    if task.eval_batch_size is not None or obj.num_examples < LEAST_EXAMPLES:
        measures = tuple(name for name in measures if name != "noise_scale")
    try:
        return _measured(obj, measures)
    except NonFiniteError:
        return dict(UNKNOWN)


def _measured(obj: Objective, measures: tuple[str, ...]) -> dict[str, Any]:
    row = dict(UNKNOWN)
    with obj.quiet():
        start = Start.of(obj, loss_noise(obj))
        row["gradient_norm"] = float(torch.linalg.vector_norm(start.gradient))
        if "lambda_max" in measures or "keskar" in measures:
            largest = hessian_eigenvalues(obj, 1, tol=TOL)
            row["lambda_max"], row["lambda_max_error"] = float(largest.values[0]), float(largest.residuals[0])
        if "trace" in measures:
            trace = hessian_trace(obj, num_hvps=TRACE_HVPS)
            row["trace"], row["trace_sem"] = trace.value, trace.sem
        if "keskar" in measures:
            keskar = keskar_sharpness(
                obj, start, largest, eps=EPS, subspace=None, num_random=NUM_RANDOM, steps=STEPS, seed=0
            )
            row["keskar"], row["keskar_error"] = keskar.value, float(keskar.error)
    if "noise_scale" in measures:
        noise = gradient_noise(obj)
        row |= {"noise_scale": noise.noise_scale, "noise_resolved": noise.resolved}
        row |= {"noise_low": noise.interval[0], "noise_high": noise.interval[1]}
    return row
