"""The loss in training mode and in evaluation mode on the same batches, and which of them was logged."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import numpy as np
import torch

from diagkit.diagnosis.case import Case
from diagkit.errors import InputError
from diagkit.objective import recut
from diagkit.result import Result
from diagkit.work import interrupted

BATCHES = 24
TAIL = 100  # logged losses, at most a quarter of the log
CLEAR = 6.0  # standard errors by which the two modes must differ
NEAR = 0.25  # of the gap


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ModeGap(Result):
    """Losses [batches] in either mode on the same batches, and the logged ones [t] of the last steps.

    Attributes
    ----------
    log_is_like : "training", "evaluation", or None where the modes do not differ clearly or the log is like
        neither.

    Example
    -------
    >>> ModeGap(training=np.full(9, 2.0), evaluation=np.full(9, 1.0), logged=np.full(30, 1.01)).log_is_like
    'evaluation'
    """

    training: np.ndarray
    evaluation: np.ndarray
    logged: np.ndarray

    @property
    def log_is_like(self) -> str | None:
        gap = self.training - self.evaluation
        noise = float(np.hypot(_sem(gap), _sem(self.logged)))
        mean = float(gap.mean())
        if not np.isfinite(mean) or abs(mean) <= CLEAR * noise:
            return None
        for name, losses in (("training", self.training), ("evaluation", self.evaluation)):
            if abs(float(self.logged.mean() - losses.mean())) <= NEAR * abs(mean) + 2 * noise:
                return name
        return None

    def summary(self) -> dict[str, Any]:
        return {
            "training": float(self.training.mean()),
            "evaluation": float(self.evaluation.mean()),
            "logged": float(self.logged.mean()),
            "log_is_like": self.log_is_like,
        }


def _sem(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else float("inf")


def mode_gap(case: Case) -> ModeGap | None:
    """Measure it on copies; None without enough of a log, or where the batches cannot be cut."""
    started = time.perf_counter()
    losses = None if case.history is None else case.history.loss
    logged = np.zeros(0) if losses is None else losses[np.isfinite(losses)]
    logged = logged[-min(TAIL, len(logged) // 4) :] if len(logged) >= 8 else logged[:0]
    if len(logged) < 2:
        return None
    try:
        cuts = recut(case.objective, case.batch_size, case.seed).batches
    except InputError:
        return None
    step, rows = case.objective.step, []
    twins = {mode: case.twin().model.train(mode) for mode in (True, False)}
    torch.manual_seed(case.seed)  # dropout; the caller's random state is put back by the diagnosis
    with torch.no_grad():
        for batch in islice(cycle(cuts), BATCHES):
            rows.append([float(step(twins[mode], batch.payload)) for mode in (True, False)])
            if interrupted():
                break
    training, evaluation = np.array(rows).T
    return ModeGap(
        training=training,
        evaluation=evaluation,
        logged=logged,
        seed=case.seed,
        seconds=time.perf_counter() - started,
        complete=len(rows) == BATCHES,
    )
