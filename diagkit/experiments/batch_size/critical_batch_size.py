"""How large may a batch be before more examples no longer save steps?"""

from __future__ import annotations

import functools
import math
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor, nn

from diagkit.errors import InputError
from diagkit.experiments.batch_size.critical_fit import Tradeoff, critical_interval, fit_tradeoff
from diagkit.experiments.batch_size.matched_loss import crossing
from diagkit.experiments.batch_size.noise_on_the_way import noise_scales
from diagkit.experiments.batch_size.preparation import check_rates, check_task
from diagkit.experiments.batch_size.training_runs import OptimizerAt, num_examples, sgd, train_recipe
from diagkit.experiments.batch_size.tuning import FACTORS, free_seeds
from diagkit.experiments.seed_runs import check_seeds
from diagkit.experiments.sweep import sweep
from diagkit.experiments.sweep_result import Sweep
from diagkit.objective import check_count, check_positive
from diagkit.result import Result

SCATTER = 10.0  # of the critical batch size around the simple noise scale, over tasks (McCandlish 2018)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class CriticalBatchSize(Result):
    """Steps and examples to a training loss, by batch size.

    Attributes
    ----------
    value : critical batch size E_min / S_min in examples, geometric mean over the seeds. interval : 95 %,
        over seeds. resolved : the curves bend, for every seed; otherwise the interval is open.
    batch_sizes [m], rates [m] : those that reached ``target_loss`` with every seed, and the rate of each.
    steps [m, K] : for every seed; E = B S. fit : through the mean steps.
    noise_scale : B_simple, median on the way of the smallest batch size, inf where it is not resolved;
        noise_range : smallest and largest there. It agrees with ``value`` within a factor of 10, not better.
    """

    value: float
    interval: tuple[float, float]
    resolved: bool
    target_loss: float
    batch_sizes: tuple[int, ...]
    rates: tuple[float, ...]
    seeds: tuple[int, ...]
    steps: np.ndarray
    fit: Tradeoff
    noise_scale: float
    noise_range: tuple[float, float]
    notes: tuple[str, ...]
    runs: Sweep

    @property
    def examples(self) -> np.ndarray:
        """E = B S [m, K]."""
        return self.steps * np.array(self.batch_sizes, dtype=float)[:, None]

    def to_frame(self) -> pd.DataFrame:
        """One row per batch size and seed: batch_size, rate, seed, steps, examples."""
        rows = [
            {"batch_size": b, "rate": rate, "seed": seed, "steps": s, "examples": b * s}
            for b, rate, row in zip(self.batch_sizes, self.rates, self.steps, strict=True)
            for seed, s in zip(self.seeds, row, strict=True)
        ]
        return pd.DataFrame(rows)

    def summary(self) -> dict[str, Any]:
        return {
            "critical_batch_size": self.value,
            "interval": list(self.interval),
            "resolved": self.resolved,
            "noise_scale": self.noise_scale,
            "noise_range": list(self.noise_range),
            "batch_sizes": list(self.batch_sizes),
        }


def critical_batch_size(
    make_model: Callable[[], nn.Module],
    loss_fn: Callable[..., Tensor],
    data: Any,
    batch_sizes: Iterable[int],
    *,
    target_loss: float,
    lr: float = 0.05,
    rates: Iterable[float] | None = None,
    max_epochs: int = 8,
    least_steps: int = 300,
    seeds: Iterable[int] = range(8),
    optimizer: OptimizerAt = sgd,
    checkpoints: int = 80,
    n_jobs: int | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> CriticalBatchSize:
    r"""Steps S and examples E = B S until the full training loss first reaches ``target_loss``, for each B.

    The rate is tuned for each batch size on four other seeds: the one that needs the fewest steps. Then
    (McCandlish et al. 2018, arXiv:1812.06162)

    .. math:: \Bigl(\frac{S}{S_{min}} - 1\Bigr)\Bigl(\frac{E}{E_{min}} - 1\Bigr) = 1,
              \qquad B_{crit} = E_{min} / S_{min}

    is fitted for each seed. The steps are interpolated between ``checkpoints``. Beside it stands the simple
    noise scale tr(Sigma)/\|G\|^2 on the way, which predicts it within a factor of about 10, not better: it
    ignores the curvature, and changes during training.

    Parameters
    ----------
    batch_sizes : two or more, best over a factor of 30: a curve without a bend shows no critical size. Near N
        the batches are drawn without replacement and have less noise than the formula supposes.
    rates : tried at every batch size; lr times 1, 2, 4, ..., 64.
    max_epochs, least_steps : a run ends after the longer of the two.
    Other parameters : as for :func:`compare_batch_sizes`.

    Raises
    ------
    InputError : as :func:`compare_batch_sizes`; a loss that is reached already. Fewer than two batch sizes
        that reach the target are no error: the answer is not resolved, and says so.

    Example
    -------
    >>> import torch
    >>> X = torch.ones(64, 1)  # all examples alike: no noise, and nothing that a larger batch could save
    >>> found = critical_batch_size(
    ...     lambda: nn.Linear(1, 1), nn.MSELoss(), (X, 3 * X), [2, 8],
    ...     target_loss=0.01, rates=[0.1], max_epochs=1, least_steps=40, seeds=range(2)
    ... )
    >>> bool(np.allclose(found.steps[0], found.steps[1])), found.value, found.resolved
    (True, 0.0, False)
    """
    started = time.perf_counter()
    check_positive("target_loss", target_loss)
    check_positive("lr", lr)
    for name, count in {"max_epochs": max_epochs, "least_steps": least_steps}.items():
        check_count(name, count)
    check_count("checkpoints", checkpoints, least=2)
    chosen = check_seeds(seeds)
    task, sizes, notes = check_task(
        make_model, loss_fn, data, None, optimizer, batch_sizes, checkpoints, None
    )
    grid = check_rates([lr * f for f in FACTORS] if rates is None else rates)
    length = {b: max(max_epochs * math.ceil(num_examples(data) / b), least_steps) for b in sizes}
    run = functools.partial(train_recipe, task=task)

    def part(name: str) -> Path | None:
        return None if folder is None else Path(folder) / name

    settings: list[dict[str, Any]] = [
        {"batch_size": b, "rate": rate, "steps": length[b]} for b in sizes for rate in grid
    ]
    best, tuned = dict.fromkeys(sizes, grid[0]), True
    more: list[str] = []
    if len(grid) > 1:
        tuning = sweep(run, settings, seeds=free_seeds(chosen), n_jobs=n_jobs, folder=part("tuning"))
        best, more = _fewest_steps(tuning, target_loss, grid)
        tuned = tuning.complete
    final = [s for s in settings if best.get(s["batch_size"]) == s["rate"]]
    runs = sweep(run, final or settings[:1], seeds=chosen, n_jobs=n_jobs, folder=part("runs"))
    steps = _steps_to(runs, target_loss)
    table = steps.pivot(index="batch_size", columns="seed", values="steps").reindex(columns=list(chosen))
    if (table == 0.0).to_numpy().any():
        raise InputError(
            f"target_loss = {target_loss!r}, which a model has before its first step",
            allowed="a loss that training has to reach",
        )
    whole = table[np.isfinite(table).all(axis=1)]
    notes += more + [
        f"B = {b} did not reach a loss of {target_loss:g} with every seed and is left out"
        for b in sizes
        if b not in whole.index
    ]
    numbers, kept = whole.to_numpy(float), tuple(int(b) for b in whole.index)
    value, interval, resolved = float("nan"), (0.0, float("inf")), False
    fit = Tradeoff(float("nan"), float("nan"))
    noise = np.zeros(0)
    if len(kept) > 1:
        value, interval, resolved = critical_interval(kept, numbers)
        fit = fit_tradeoff(kept, numbers.mean(axis=1))
        noise = noise_scales(replace(task, checkpoints=1), runs, kept[0], target_loss)
    else:
        notes.append("fewer than two batch sizes reached the loss: there is no curve to fit")
    return CriticalBatchSize(
        value=value,
        interval=interval,
        resolved=resolved,
        target_loss=float(target_loss),
        batch_sizes=kept,
        rates=tuple(best[b] for b in kept),
        seeds=chosen,
        steps=numbers,
        fit=fit,
        noise_scale=float(np.median(noise)) if noise.size else float("inf"),
        noise_range=(float(noise.min()), float(noise.max())) if noise.size else (0.0, float("inf")),
        notes=tuple(notes),
        runs=runs,
        seconds=time.perf_counter() - started,
        complete=tuned and runs.complete,
    )


def _steps_to(runs: Sweep, target: float) -> pd.DataFrame:
    """Steps to the target for every finished run; NaN where it was not reached."""
    rows = [
        dict(run.cell.settings)
        | {"seed": run.cell.seed, "steps": crossing(run.outcome.series, target).values["step"]}
        for run in runs.runs
        if run.outcome is not None
    ]
    return pd.DataFrame(rows, columns=["batch_size", "rate", "steps", "seed"])


def _fewest_steps(
    tuning: Sweep, target: float, grid: tuple[float, ...]
) -> tuple[dict[int, float], list[str]]:
    """The rate with the fewest mean steps for each batch size that reaches the target, and notes."""
    steps = _steps_to(tuning, target)
    best: dict[int, float] = {}
    notes = []
    for b, here in steps.groupby("batch_size"):
        means = here.assign(steps=here["steps"].fillna(np.inf)).groupby("rate")["steps"].mean()
        if not np.isfinite(means.min()):
            continue
        best[int(b)] = float(means.idxmin())
        if best[int(b)] in (grid[0], grid[-1]):
            notes.append(f"the best rate for B = {b}, {best[int(b)]:g}, lies on the edge of the grid")
    return best, notes
