"""One model per seed, trained one by one or together: what was measured decides."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from diagkit.experiments.ensemble import obstacle, train_together
from diagkit.experiments.kept_points import PointKeeper, check_kept_at, points_of_runs
from diagkit.experiments.seed_runs import SeedRuns, check_seeds, made
from diagkit.training import Minibatches, train
from diagkit.work import interrupted, progress

# benchmarks/results/ensembles.md: beyond these, arithmetic and memory take the time, and stacking saves none.
FEWEST_SEEDS = 4
MOST_PARAMETERS = 1e5  # at 1e6 the stack no longer fits the cache, and takes twice as long
MOST_WORK = 5e6  # parameters x examples per step
MOST_EXAMPLES_CONVOLVED = 32  # stacked convolutions are grouped ones, which are slow for large batches


def train_seeds(
    make_model: Callable[[], nn.Module],
    loss_fn: Callable[..., Tensor],
    data: Any,
    *,
    optimizer: Callable[[list[Tensor]], torch.optim.Optimizer],
    seeds: Iterable[int],
    epochs: int | None = None,
    max_steps: int | None = None,
    batch_size: int | None = None,
    keep_at: Iterable[int] = (),
    together: bool | None = None,
) -> SeedRuns:
    """Train one model per seed: together where that is faster, else one by one with :func:`diagkit.train`.

    The numbers agree to rounding. The other arguments are those of :func:`train_together`.

    Parameters
    ----------
    together : None for :func:`pays_together`; True or False to decide yourself.

    Raises
    ------
    InputError : as :func:`diagkit.train`, or as :func:`train_together` with ``together=True``.

    Example
    -------
    >>> X = torch.linspace(-1, 1, 64, dtype=torch.float64)[:, None]
    >>> task = dict(optimizer=lambda p: torch.optim.SGD(p, lr=0.1), seeds=range(4), epochs=3)
    >>> make = lambda: nn.Linear(1, 1).double()
    >>> one_by_one = train_seeds(make, nn.MSELoss(), (X, 3 * X), together=False, **task)
    >>> stacked = train_seeds(make, nn.MSELoss(), (X, 3 * X), together=True, **task)
    >>> bool(torch.allclose(one_by_one.theta, stacked.theta, rtol=1e-12)), stacked.together
    (True, True)
    """
    chosen, keep_at = check_seeds(seeds), check_kept_at(keep_at)
    first = made(make_model, chosen[0])
    if together is None:
        batches = Minibatches(data, batch_size=batch_size)
        together = pays_together(first, len(chosen), batches.batch_size)
        together = together and not obstacle(first, optimizer, batches)
    how: dict[str, Any] = {"optimizer": optimizer, "epochs": epochs, "max_steps": max_steps}
    how["batch_size"] = batch_size
    if together:
        return train_together(make_model, loss_fn, data, seeds=chosen, keep_at=keep_at, **how)
    started, runs, keepers = time.perf_counter(), [], []
    with progress("train seeds", len(chosen)) as advance:
        for seed in chosen:
            if interrupted():
                break
            keepers.append(PointKeeper(keep_at))
            how["callbacks"] = keepers[-1:] if keep_at else ()
            runs.append(train(made(make_model, seed), loss_fn, data, seed=seed, **how))
            advance(1)
    kept = [run for run in runs if run.complete]
    losses = [np.asarray(run.history.loss) for run in kept]
    loss = np.full((len(kept), max(map(len, losses), default=0)), np.nan)
    for row, values in zip(loss, losses, strict=True):
        row[: len(values)] = values
    return SeedRuns.of(
        chosen[: len(kept)],
        theta=torch.stack([run.final_theta for run in kept]) if kept else torch.empty(0, 0),
        loss=loss,
        together=False,
        **points_of_runs(keepers[: len(kept)], keep_at),
        complete=len(kept) == len(chosen),
        seconds=time.perf_counter() - started,
    )


def pays_together(model: nn.Module, num_seeds: int, batch_size: int) -> bool:
    """Are ``num_seeds`` copies trained faster as a stack, by what was measured on one thread of a CPU?

    Example
    -------
    >>> pays_together(nn.Linear(64, 10), 8, 32), pays_together(nn.Linear(64, 10), 1, 32)
    (True, False)
    """
    size = sum(p.numel() for p in model.parameters())
    convolved = any(isinstance(m, nn.modules.conv._ConvNd) for m in model.modules())
    small = batch_size <= MOST_EXAMPLES_CONVOLVED if convolved else size * batch_size <= MOST_WORK
    return num_seeds >= FEWEST_SEEDS and size <= MOST_PARAMETERS and small
