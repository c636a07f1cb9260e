"""Evidence by intervention: the same short run from the same checkpoint, with and without a change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats

from diagkit.diagnosis.twin import Twin
from diagkit.result import Result

if TYPE_CHECKING:
    import pandas as pd

NUM_SEEDS = 4  # at most: from five on, one seed without a gain would no longer settle a trial
GRID = 8  # points at which the loss over all data is looked at
LAST = 3  # of which so many make up the level that an arm reaches


@dataclass(frozen=True)
class Arm:
    """One way to go on: a name, what it changes on the copy, in words."""

    name: str
    words: str
    change: Callable[[Twin, int], Twin]  # (copy, seed) -> the changed copy


@dataclass(frozen=True)
class ArmRun:
    """loss [seeds, GRID + 1] over all data, at ``steps``; inf once a run is not finite."""

    arm: Arm
    steps: np.ndarray
    loss: np.ndarray

    @property
    def level(self) -> np.ndarray:
        """Where each seed ends up: the mean of the last points, [seeds]."""
        return self.loss[:, -LAST:].mean(axis=1)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Trial(Result):
    """Paired comparison of two arms over the same seeds and data orders.

    Attributes
    ----------
    steps [g] : at which the losses were taken. without, with_remedy [seeds, g] : loss over all the data.
    effect : mean drop of the level reached (mean of the last points), positive where the remedy helps.
    interval : its 95 % t-interval over seeds. ceiling : beyond it all losses counted as equally bad.
    """

    remedy: str
    reference: str
    steps: np.ndarray
    without: np.ndarray
    with_remedy: np.ndarray
    effect: float
    interval: tuple[float, float]
    ceiling: float = float("inf")

    @property
    def level(self) -> float:
        """Loss that the remedy reaches: the mean over seeds of the last points, up to the ceiling."""
        return float(np.minimum(self.with_remedy[:, -LAST:].mean(axis=1), self.ceiling).mean())

    def summary(self) -> dict[str, Any]:
        return {
            "remedy": self.remedy,
            "against": self.reference,
            "effect": self.effect,
            "interval": list(self.interval),
            "seeds": len(self.without),
            "steps": int(self.steps[-1]),
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per arm, seed and step."""
        import pandas as pd

        rows = [
            {"arm": name, "seed": seed, "step": int(step), "loss": value}
            for name, losses in ((self.reference, self.without), (self.remedy, self.with_remedy))
            for seed, row in enumerate(losses)
            for step, value in zip(self.steps, row, strict=True)
        ]
        return pd.DataFrame(rows)


def paired(reference: ArmRun, remedy: ArmRun, ceiling: float, seed: int, seconds: float) -> Trial:
    """Two runs over the same seeds, compared; complete with all of them, or as soon as one gains nothing.

    One seed of n <= 4 that gains nothing keeps 0 within the interval, whatever the others gain: with gains
    (0, a, ..., a) mean and standard error are (n - 1) a / n and a / n, and n - 1 < t for n <= 4.
    """
    n = min(len(reference.loss), len(remedy.loss))
    difference = np.subtract(*(np.minimum(run.level[:n], ceiling) for run in (reference, remedy)))
    effect, half = float(difference.mean()), float("inf")
    if n > 1:
        half = float(stats.t.ppf(0.975, n - 1) * difference.std(ddof=1) / np.sqrt(n))
    return Trial(
        remedy=remedy.arm.words,
        reference=reference.arm.words,
        steps=reference.steps,
        without=reference.loss[:n],
        with_remedy=remedy.loss[:n],
        effect=effect,
        interval=(effect - half, effect + half),
        ceiling=ceiling,
        seed=seed,
        seconds=seconds,
        complete=n == NUM_SEEDS or (n > 1 and bool((difference <= 0).any())),
    )
