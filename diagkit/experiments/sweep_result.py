"""What a sweep returns: a tidy table with units, series, tensors, pairs, and what more of it would cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import joblib
import numpy as np
import pandas as pd
from torch import Tensor

from diagkit.errors import InputError
from diagkit.experiments.grid import RESERVED, Grid
from diagkit.experiments.outcome import Run
from diagkit.experiments.paired import PairedDifference, paired_difference
from diagkit.result import Result

STEADY = {"seconds": "s"}  # units that every sweep has


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Sweep(Result):
    """The runs of a sweep, in the order of its grid: seed after seed, and the settings within each.

    Attributes
    ----------
    runs : those that finished or failed; each has ``.cell``, ``.outcome``, ``.seconds``, ``.error``.
    grid : settings and seeds that were asked for.
    units : column -> unit. notes : what was found in the folder, and what was wrong there.
    """

    runs: tuple[Run, ...]
    grid: Grid
    units: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @property
    def frame(self) -> pd.DataFrame:
        """One row per run: settings, seed, results, seconds (s), status ("done" or "failed") and error.

        ``frame.attrs["units"]`` maps columns to units.
        """
        first = [*self.grid.names, "seed"]
        results = list(
            dict.fromkeys(name for run in self.runs for name in run.row if name not in (*first, *RESERVED))
        )
        frame = pd.DataFrame(
            [run.row for run in self.runs], columns=[*first, *results, "seconds", "status", "error"]
        )
        frame.attrs["units"] = {**STEADY, **self.units}
        return frame

    def to_frame(self) -> pd.DataFrame:
        """The same as :attr:`frame`."""
        return self.frame

    @property
    def series(self) -> pd.DataFrame:
        """The series of all runs under each other, with their settings and seed in front."""
        tables = [
            run.outcome.series.assign(**run.cell.settings, seed=run.cell.seed)
            for run in self.runs
            if run.outcome is not None and run.outcome.series is not None
        ]
        if not tables:
            return pd.DataFrame(columns=[*self.grid.names, "seed"])
        first = [*self.grid.names, "seed"]
        joined = pd.concat(tables, ignore_index=True)
        return joined[[*first, *(name for name in joined if name not in first)]]

    @property
    def failed(self) -> pd.DataFrame:
        """The rows of runs that raised an error; the next call with the same folder tries them again."""
        frame = self.frame
        return frame[frame["status"] == "failed"]

    def tensors(self, seed: int, **settings: Any) -> Mapping[str, Tensor]:
        """The tensors of one run.

        Raises
        ------
        InputError : not one run, but none or several.
        """
        runs = [run for run in self._runs(settings) if run.cell.seed == seed]
        if len(runs) != 1 or runs[0].outcome is None:
            raise InputError(
                f"seed={seed} and {settings}, which {len(runs)} runs have",
                allowed="seed and settings of one finished run",
            )
        return runs[0].outcome.tensors

    def values(self, metric: str, settings: Mapping[str, Any]) -> pd.Series:
        """``metric`` by seed, of the finished runs with these settings.

        Raises
        ------
        InputError : no such result, or settings that leave several runs for a seed.
        """
        runs = [run for run in self._runs(settings) if run.outcome is not None]
        known = sorted({name for run in self.runs if run.outcome for name in run.outcome.scalars})
        if not runs or any(metric not in run.outcome.scalars for run in runs if run.outcome):
            raise InputError(
                f"{metric!r} at {dict(settings)}", allowed=f"{known} at settings of finished runs"
            )
        by_seed = {run.cell.seed: run.outcome.scalars[metric] for run in runs if run.outcome}
        if len(by_seed) < len(runs):
            raise InputError(
                f"settings {dict(settings)}, which leave several runs for a seed",
                allowed=f"values for enough of {', '.join(self.grid.names)}",
            )
        return pd.Series(by_seed, dtype=float, name=metric)

    def paired(self, metric: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> PairedDifference:
        """``metric`` at ``second`` less that at ``first``, over the seeds that finished both.

        Example
        -------
        >>> from diagkit.experiments import sweep
        >>> result = sweep(lambda lr, seed: {"loss": lr + seed}, {"lr": [1.0, 3.0]}, seeds=range(8))
        >>> result.paired("loss", {"lr": 1.0}, {"lr": 3.0}).differences
        array([2., 2., 2., 2., 2., 2., 2., 2.])
        """
        both = pd.concat([self.values(metric, first), self.values(metric, second)], axis=1, join="inner")
        return paired_difference(both.iloc[:, 0], both.iloc[:, 1], unit=self.units.get(metric, ""))

    def estimate(self, seeds: Iterable[int], n_jobs: int = 1) -> SweepCost:
        """What the same settings will take with these seeds, from what each setting took here.

        A sweep over one seed is the dry run of a large one; with a folder nothing of it is lost.

        Raises
        ------
        InputError : a setting that has not been run yet.
        """
        wanted, frame = list(seeds), self.frame
        total = variance = 0.0
        runs = 0
        for settings in self.grid.settings:
            times = np.array([run.seconds for run in self._runs(settings)])
            done = {run.cell.seed for run in self._runs(settings) if run.outcome is not None}
            if not times.size:
                raise InputError(
                    f"no run yet at {dict(settings)}",
                    allowed="one run of each setting",
                    write="sweep(..., seeds=[0])",
                )
            new = len([seed for seed in wanted if seed not in done])
            runs, total = runs + new, total + new * times.mean()
            variance += new * times.var(ddof=1) * (1 + new / times.size) if times.size > 1 else np.nan
        workers = max(1, min(joblib.effective_n_jobs(n_jobs), runs))
        longest = float(frame["seconds"].max()) if runs else 0.0
        return SweepCost(runs, max(total / workers, longest), float(np.sqrt(variance)) / workers)

    def summary(self) -> dict[str, Any]:
        failed = sum(bool(run.error) for run in self.runs)
        facts = {"runs": len(self.runs), "settings": len(self.grid.settings), "seeds": len(self.grid.seeds)}
        return facts | {"failed": failed, "missing": len(self.grid.cells) - len(self.runs)}

    def _runs(self, settings: Mapping[str, Any]) -> list[Run]:
        unknown = [name for name in settings if name not in self.grid.names]
        if unknown:
            raise InputError(f"the settings {unknown}", allowed=f"{', '.join(self.grid.names)}")
        return [
            r for r in self.runs if all(r.cell.settings[name] == value for name, value in settings.items())
        ]


@dataclass(frozen=True)
class SweepCost:
    """Price of runs that are not done yet.

    Attributes
    ----------
    runs : how many. seconds : wall time with the workers asked for, each as fast as one alone.
    seconds_sem : standard error of that; NaN where each setting was run once.
    """

    runs: int
    seconds: float
    seconds_sem: float

    def __str__(self) -> str:
        """In words.

        Example
        -------
        >>> print(SweepCost(160, 300.0, 20.0))
        160 runs, about 5 min
        """
        return f"{self.runs} runs, about {_time_in_words(self.seconds)}"


def _time_in_words(seconds: float) -> str:
    """Seconds up to two minutes, minutes up to two hours, else hours."""
    for unit, length in (("s", 1.0), ("min", 60.0)):
        if seconds < 120 * length:
            return f"{seconds / length:.2g} {unit}"
    return f"{seconds / 3600:.2g} h"
