"""What every study returns: the runs of a sweep, and claims judged by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from diagkit.experiments.paired import paired_difference
from diagkit.experiments.sweep_result import Sweep, SweepCost
from diagkit.experiments.verdict import Verdict, judge
from diagkit.result import Result

# The smallest change of a quantity compared by factors that counts: log10 of 1.25.
QUARTER = float(np.log10(1.25))


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Study(Result):
    """Runs and verdicts.

    Attributes
    ----------
    sweep : all runs, with what failed and what a folder held. verdicts : the claims, each with its interval.
    """

    sweep: Sweep
    verdicts: tuple[Verdict, ...]

    @property
    def frame(self) -> pd.DataFrame:
        """One row per run; ``frame.attrs["units"]`` maps columns to units."""
        return self.sweep.frame

    def to_frame(self) -> pd.DataFrame:
        """The same as :attr:`frame`."""
        return self.frame

    @property
    def verdict_frame(self) -> pd.DataFrame:
        """One row per claim: claim, verdict, value, low, high (95 % interval), unit, count."""
        return pd.DataFrame(
            [
                [v.claim, v.verdict, v.value, *v.interval, v.unit, v.count, v.expects, v.smallest]
                for v in self.verdicts
            ],
            columns=["claim", "verdict", "value", "low", "high", "unit", "count", "expects", "smallest"],
        )

    def estimate(self, seeds: Iterable[int], n_jobs: int = 1) -> SweepCost:
        """What the same study takes with these seeds, from what it took here; see :meth:`Sweep.estimate`."""
        return self.sweep.estimate(seeds, n_jobs)

    def summary(self) -> dict[str, Any]:
        words = ("reproduced", "not reproduced", "inconclusive")
        found = {word: sum(v.verdict == word for v in self.verdicts) for word in words}
        return {"runs": len(self.sweep.runs), "failed": len(self.sweep.failed), **found}


def values_of(sweep: Sweep, metric: str, settings: Mapping[str, Any]) -> pd.Series:
    """``metric`` by seed, of the runs with these settings; NaN where a run failed, empty where none is there.

    Example
    -------
    >>> from diagkit.experiments import sweep
    >>> runs = sweep(lambda lr, seed: {"loss": lr / seed}, {"lr": [1.0]}, seeds=range(3))
    >>> values_of(runs, "loss", {"lr": 1.0}).tolist()
    [nan, 1.0, 0.5]
    """
    found = {
        run.cell.seed: run.outcome.scalars.get(metric) if run.outcome else None
        for run in sweep.runs
        if all(run.cell.settings[name] == value for name, value in settings.items())
    }
    return pd.Series(found, dtype=float, name=metric)


def judge_pairs(
    claim: str, first: pd.Series, second: pd.Series, *, expects: str, smallest: float, unit: str = ""
) -> Verdict:
    """Judge second less first, two series by seed; where no pair is there the claim is inconclusive."""
    both = pd.concat([first, second], axis=1, join="inner").astype(float)
    if both.empty:
        both = pd.DataFrame([[np.nan, np.nan]])
    difference = paired_difference(both.iloc[:, 0], both.iloc[:, 1], unit=unit)
    return judge(claim, difference, expects=expects, smallest=smallest)
