"""A rate for each batch size, by the training loss at the end of equal epochs."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from diagkit.experiments.batch_size.arms import Reference
from diagkit.experiments.batch_size.training_runs import Task, train_recipe
from diagkit.experiments.sweep import sweep

FACTORS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)  # of the reference rate, for every batch size
NUM_SEEDS = 4  # the fewest that are trained together


def tune_rates(
    task: Task,
    reference: Reference,
    batch_sizes: Sequence[int],
    rates: Sequence[float],
    seeds: Sequence[int],
    n_jobs: int | None,
    folder: Path | None,
) -> tuple[Mapping[int, float], list[str]]:
    """The best of ``rates`` for each batch size, and what to know about it.

    The same number of epochs for every rate and batch size; the lowest mean training loss wins, where a run
    that diverged counts as infinite. Tuning seeds are others than those of the comparison, so that a rate is
    not chosen by the luck of the runs that are compared.
    """
    grid = [
        {"batch_size": b, "rate": float(rate), "steps": reference.steps(b)}
        for b in batch_sizes
        for rate in rates
    ]
    run = functools.partial(train_recipe, task=replace(task, checkpoints=1))
    runs = sweep(run, grid, seeds=free_seeds(seeds), n_jobs=n_jobs, folder=folder)
    frame = runs.frame
    chosen, notes = {}, []
    for b in batch_sizes:
        if not runs.complete or runs.failed.shape[0]:
            chosen[b] = reference.rate
            continue
        here = frame[frame["batch_size"] == b]
        losses = here.assign(loss=here["train_loss"].fillna(np.inf)).groupby("rate")["loss"].mean()
        chosen[b] = float(losses.idxmin())
        if chosen[b] in (min(rates), max(rates)) and len(rates) > 1:
            notes.append(
                f"tuned rate: the best rate for B = {b}, {chosen[b]:g}, lies on the edge of the grid from "
                f"{min(rates):g} to {max(rates):g}: a better one may lie beyond it"
            )
    if not runs.complete or runs.failed.shape[0]:
        notes.append("tuned rate: tuning did not finish, so that the reference rate was used")
    else:
        notes.append(
            "tuned rate: "
            + ", ".join(f"{rate:g} for B = {b}" for b, rate in chosen.items())
            + f", by the mean training loss of {NUM_SEEDS} other seeds after equal epochs"
        )
    return chosen, notes


def free_seeds(taken: Sequence[int]) -> list[int]:
    """The first few numbers that are not among ``taken``.

    Example
    -------
    >>> free_seeds([0, 1, 3])
    [2, 4, 5, 6]
    """
    return [seed for seed in range(len(taken) + NUM_SEEDS) if seed not in set(taken)][:NUM_SEEDS]
