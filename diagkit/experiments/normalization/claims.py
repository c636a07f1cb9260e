"""What is claimed of normalization, kind by kind, judged over paired seeds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from diagkit.experiments.normalization.one_run import TIMES, TrainingPlan
from diagkit.experiments.normalization.setting import Normalization
from diagkit.experiments.study import QUARTER, judge_pairs, values_of
from diagkit.experiments.sweep_result import Sweep
from diagkit.experiments.verdict import Verdict

AT = {"early": "early", "matched": "at the same loss", "late": "late"}
# Column -> (what it is, the direction that is meant by "rounder").
ROUNDER = {
    **{
        f"{name}_{when}": (f"{words}, {AT[when]}", "decrease")
        for name, words in {
            "lambda_max": "λ_max",
            "relative_lambda_max": "|w|² λ_max",
            "top_over_rms": "λ_max / rms λ",
            "gradient_change": "change of the gradient along a step",
        }.items()
        for when in TIMES
    },
    "stable_rate": ("largest stable rate", "increase"),
}
UNIT = "log10 of the ratio"


def judge_all(
    runs: Sweep,
    sizes: Sweep | None,
    normalizations: Sequence[Normalization],
    training: TrainingPlan,
    batch_sizes: Sequence[int],
) -> tuple[Verdict, ...]:
    """For each kind but "none": rounder by each measure, slower and slower steps, dearer small batches."""
    found = []
    for normalization in normalizations:
        if normalization.kind == "none":
            continue
        found += [rounder(runs, normalization, measure) for measure in ROUNDER]
        found.append(_effective_rate(runs, normalization))
        if sizes is not None:
            found += [_small_batch(sizes, normalization, training.batch_size, size) for size in batch_sizes]
    return tuple(found)


def rounder(runs: Sweep, normalization: Normalization, measure: str) -> Verdict:
    """Is the surface rounder with this normalization than with none, by this measure?"""
    words, expects = ROUNDER[measure]
    plain, with_it = (
        _log(values_of(runs, measure, n.settings)) for n in (Normalization("none"), normalization)
    )
    claim = f"“{normalization}” makes the surface rounder: {expects} of {words}"
    return judge_pairs(claim, plain, with_it, expects=expects, smallest=QUARTER, unit=UNIT)


def _effective_rate(runs: Sweep, normalization: Normalization) -> Verdict:
    first, last = (
        _log(values_of(runs, f"effective_rate_{end}", normalization.settings)) for end in ("first", "last")
    )
    claim = f"with “{normalization}” the effective rate lr / |w|² falls along training"
    return judge_pairs(claim, first, last, expects="decrease", smallest=0.0, unit=UNIT)  # however little


def _small_batch(sizes: Sweep, normalization: Normalization, full: int, small: int) -> Verdict:
    """More loss from full to small batches than without normalization?"""

    def cost(n: Normalization) -> pd.Series:
        small_loss, full_loss = (
            _log(values_of(sizes, "loss_running", n.settings | {"batch_size": size}))
            for size in (small, full)
        )
        return small_loss - full_loss

    claim = f"batches of {small} instead of {full} cost more with “{normalization}” than without"
    plain, with_it = cost(Normalization("none")), cost(normalization)
    return judge_pairs(claim, plain, with_it, expects="increase", smallest=QUARTER, unit=UNIT)


def _log(values: pd.Series) -> pd.Series:
    """log10; NaN where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log10(values.where(values > 0))
