"""What a comparison of batch sizes returns: one row per run, curves, verdicts, an answer per arm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from diagkit.errors import InputError
from diagkit.experiments.batch_size.claims import QUESTION, Answer, Judged
from diagkit.experiments.batch_size.views import ArmEffects, VerdictTable, arm_effects
from diagkit.experiments.sweep_result import Sweep, SweepCost
from diagkit.result import Result

UNITS = {
    "batch_size": "examples",
    "steps": "steps",
    "epochs": "epochs",
    "matched_step": "steps",
    "matched_epoch": "epochs",
    "train_loss": "nat per example",
    "test_loss": "nat per example",
    "train_accuracy": "fraction",
    "test_accuracy": "fraction",
    "keskar": "%",
    "noise_scale": "examples",
    "noise_low": "examples",
    "noise_high": "examples",
    "seconds_per_step": "s",
    "seconds_per_step_spread": "s",
    "seconds_per_epoch": "s",
    "training_seconds": "s",
    "matched_seconds": "s",
    "examples_per_second": "1/s",
    "memory_mib": "MiB",
}


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class BatchSizeStudy(Result):
    """Batch sizes compared, arm by arm, over paired seeds.

    Attributes
    ----------
    frame : a row per arm, batch size and seed. The smallest batch size is the same run in all arms but
        "tuned rate", and stands in each of them. Columns without prefix are those at the end; ``matched_`` is
        where the run first reaches ``target_loss``. Units in ``frame.attrs["units"]``.
    curves : arm, batch_size, seed, step, epoch, seconds, losses, accuracies, distance on the way.
    target_loss : full training loss of the matched comparison, reached by every run that did not diverge.
    judged : claims with their verdicts. arms, batch_sizes, seeds : what was compared.
    rates : (batch size, rate) of the arm "tuned rate".
    notes : what to know before reading the numbers. training, measured, costs : the sweeps behind them.
    """

    frame: pd.DataFrame
    curves: pd.DataFrame
    target_loss: float
    judged: tuple[Judged, ...]
    answers: tuple[Answer, ...]
    arms: tuple[str, ...]
    batch_sizes: tuple[int, ...]
    seeds: tuple[int, ...]
    rates: Mapping[int, float]
    notes: tuple[str, ...]
    training: Sweep
    measured: Sweep
    costs: Sweep

    def to_frame(self) -> pd.DataFrame:
        """The same as ``frame``."""
        return self.frame

    @property
    def verdicts(self) -> pd.DataFrame:
        """One row per claim: what was compared and expected, the verdict, the effect and its interval."""
        rows = [
            {
                "arm": one.arm,
                "batch_size": one.batch_size,
                "at": one.at,
                "measure": one.measure,
                "expects": one.verdict.expects,
                "verdict": one.verdict.verdict,
                "value": one.verdict.value,
                "low": one.verdict.interval[0],
                "high": one.verdict.interval[1],
                "unit": one.verdict.unit,
                "smallest": one.verdict.smallest,
                "claim": one.verdict.claim,
                "explanation": one.verdict.explanation,
            }
            for one in self.judged
        ]
        return pd.DataFrame(rows)

    @property
    def diverging(self) -> tuple[str, ...]:
        """Arms in which a run of the largest batch ended at NaN, or above the loss that it started from."""
        if self.curves.empty:
            return ()
        large = self.curves[self.curves["batch_size"] == self.batch_sizes[-1]]
        lost = {
            arm
            for (arm, _), losses in large.groupby(["arm", "seed"])["train_loss"]
            if not losses.iloc[-1] <= losses.iloc[0]  # NaN after the end of a run that diverged
        }
        return tuple(arm for arm in self.arms if arm in lost)

    def means(self, *columns: str) -> pd.DataFrame:
        """Means over the seeds, by arm and batch size.

        Raises
        ------
        InputError : a column that ``frame`` does not have.
        """
        unknown = [name for name in columns if name not in self.frame]
        if unknown:
            raise InputError(f"the columns {unknown}", allowed=", ".join(self.frame.columns))
        chosen = list(columns) or ["train_loss", "test_loss", "test_accuracy", "lambda_max", "keskar"]
        return self.frame.groupby(["arm", "batch_size"], sort=False)[chosen].mean()

    def effects(self, measure: str = "lambda_max", batch_size: int | None = None) -> ArmEffects:
        """One measure across the arms, with intervals: a loss, lambda_max, keskar or test_accuracy.

        Parameters
        ----------
        batch_size : compared with the smallest; None for the largest.

        Raises
        ------
        InputError : a measure or a batch size that was not compared.
        """
        return arm_effects(self.judged, measure, (self.batch_sizes[0], batch_size or self.batch_sizes[-1]))

    def table(self) -> VerdictTable:
        """The verdicts at the end of the runs, for the largest batch size."""
        sizes = (self.batch_sizes[0], self.batch_sizes[-1])
        chosen = tuple(j for j in self.judged if (j.at, j.batch_size) == ("end", sizes[1]))
        return VerdictTable(batch_sizes=sizes, judged=chosen, answers=self.answers)

    def estimate(self, seeds: Iterable[int], n_jobs: int = 1) -> SweepCost:
        """What the same comparison takes with these seeds: training and measurements, tuning not counted.

        Example
        -------
        ``compare_batch_sizes(..., seeds=[0]).estimate(range(20))`` is a dry run. Seeds are trained together
        where that pays, so that one seed takes more than an eighth of eight.
        """
        wanted = list(seeds)
        costs = [part.estimate(wanted, n_jobs) for part in (self.training, self.measured)]
        return SweepCost(
            sum(c.runs for c in costs),
            sum(c.seconds for c in costs),
            float(np.hypot(costs[0].seconds_sem, costs[1].seconds_sem)),
        )

    def summary(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"batch_sizes": list(self.batch_sizes), "seeds": len(self.seeds)}
        return facts | {one.arm: one.verdict for one in self.answers}

    def _repr_html_(self) -> str:
        said = "".join(
            f"<li><b>{one.arm}</b>, B = {one.batch_size}: <b>{one.verdict}</b> at the end, "
            f"<b>{one.at_same_loss}</b> at the same training loss. {one.explanation}</li>"
            for one in self.answers
        )
        notes = "".join(f"<li>{note}</li>" for note in self.notes)
        more = f"<details><summary>Notes</summary><ul>{notes}</ul></details>"
        return f"<p><b>{QUESTION}</b></p><ul>{said}</ul>{more}"
