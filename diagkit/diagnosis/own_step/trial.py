"""The user's loop against a plain one: the same steps from the same checkpoint."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import torch

from diagkit.diagnosis import arms
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.own_step.feed import batches_for, reseed
from diagkit.diagnosis.own_step.snapshot import restored
from diagkit.diagnosis.trial import GRID, NUM_SEEDS, Arm, ArmRun, Trial
from diagkit.objective import of_model, same_data_order
from diagkit.work import StoppedError, interrupted, progress

PLAIN = replace(arms.AS_IS, name="plain loop", words="a plain loop: zero_grad, backward, step")
OWN = Arm("own loop", "your own step", lambda twin, seed: twin)


def try_plain_loop(case: Case) -> Trial | None:
    """Zero the gradients, loss, backward, step on a copy, against ``train_step`` on the model itself.

    None where the user's step did not last.

    Raises
    ------
    StoppedError : the time was up before two seeds of each had ended.
    """
    steps = np.unique(np.linspace(0, case.bench.num_steps, GRID + 1).astype(int))
    losses: list[np.ndarray] = []
    with progress("trial: your own step", NUM_SEEDS) as advance:
        for index in range(NUM_SEEDS):
            try:
                row = _run(case, case.seed + index, steps)
            except StoppedError:
                if len(losses) < 2:
                    raise
                break
            if row is None:
                break
            losses.append(row)
            advance(1)
    if len(losses) < 2:
        return None
    case.bench.enter(ArmRun(OWN, steps, np.array(losses)))
    case.bench.enter(replace(case.bench.run(arms.AS_IS), arm=PLAIN))
    return case.try_out(PLAIN, OWN)


def _run(case: Case, seed: int, steps: np.ndarray) -> np.ndarray | None:
    """Loss over all the data after so many calls of the user's step; inf once it is not finite."""
    losses = np.full(len(steps), np.inf)
    with (
        same_data_order(case.train_data),
        restored(model=case.model, optimizer=case.optimizer, scheduler=case.scheduler, step=case.train_step),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        reseed(case.train_data, seed)
        feed = batches_for(case.train_data, case.batch_size, seed, lambda: case.read)
        losses[0] = _look(case)
        for place in range(1, len(steps)):
            for _ in range(int(steps[place] - steps[place - 1])):
                if interrupted():
                    raise StoppedError(OWN.words)
                try:
                    case.train_step(next(feed))  # type: ignore[misc]
                except Exception:
                    return None
            losses[place] = _look(case)
            if not np.isfinite(losses[place]):
                break
    return losses


def _look(case: Case) -> float:
    """As the trials of the bench do: in evaluation mode, the model's own buffers."""
    value = of_model(case.objective, case.model).loss()
    return value if np.isfinite(value) else float("inf")
