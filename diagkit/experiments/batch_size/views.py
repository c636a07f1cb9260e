"""Two views of a study for pictures: one measure across the arms, and all verdicts at a glance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from diagkit.errors import InputError
from diagkit.experiments.batch_size.claims import LOG, POINTS, Answer, Judged
from diagkit.result import Result

PERCENT = 100.0


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ArmEffects(Result):
    """What a large batch does to one measure, arm by arm.

    Attributes
    ----------
    measure : such as "lambda_max". batch_sizes : (small, large). unit : "times" for ratios, else of the
        difference large - small. neutral : 1 or 0, no effect. margin : the smallest effect that matters.
    arms [n], at [n], values [n], intervals [n, 2], verdicts [n] : one entry per arm and point, "end" or
        "matched".
    """

    measure: str
    batch_sizes: tuple[int, int]
    unit: str
    neutral: float
    margin: float
    arms: tuple[str, ...]
    at: tuple[str, ...]
    values: np.ndarray
    intervals: np.ndarray
    verdicts: tuple[str, ...]

    def to_frame(self) -> pd.DataFrame:
        """One row per arm and point."""
        low, high = self.intervals.T
        columns = {"arm": self.arms, "at": self.at, "value": self.values, "low": low, "high": high}
        return pd.DataFrame(columns | {"verdict": self.verdicts})

    def summary(self) -> dict[str, Any]:
        ends = zip(self.arms, self.at, self.values, strict=True)
        return {"measure": self.measure, "unit": self.unit} | {arm: v for arm, at, v in ends if at == "end"}


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class VerdictTable(Result):
    """The claims of each arm side by side, and the answer.

    Attributes
    ----------
    batch_sizes : (small, large). judged : the claims at the end of the runs. answers : one per arm.
    """

    batch_sizes: tuple[int, int]
    judged: tuple[Judged, ...]
    answers: tuple[Answer, ...]

    def summary(self) -> dict[str, Any]:
        return {one.arm: one.verdict for one in self.answers}


def arm_effects(judged: tuple[Judged, ...], measure: str, batch_sizes: tuple[int, int]) -> ArmEffects:
    """The directed claims about ``measure``, as ratios where they were judged as logarithms of ratios.

    Raises
    ------
    InputError : a measure that was not judged.
    """
    chosen = [
        j
        for j in judged
        if (j.measure, j.batch_size) == (measure, batch_sizes[1]) and j.verdict.expects != "no difference"
    ]
    if not chosen:
        raise InputError(
            f"measure={measure!r}", allowed=f"{sorted({j.measure for j in judged})}", write='"lambda_max"'
        )
    ratios, points = chosen[0].verdict.unit == LOG, chosen[0].verdict.unit == POINTS
    shown = np.exp if ratios else (lambda x: np.multiply(PERCENT, x)) if points else np.asarray
    return ArmEffects(
        measure=measure,
        batch_sizes=batch_sizes,
        unit="times" if ratios else "percentage points" if points else chosen[0].verdict.unit,
        neutral=1.0 if ratios else 0.0,
        margin=float(shown(chosen[0].verdict.smallest)),
        arms=tuple(j.arm for j in chosen),
        at=tuple(j.at for j in chosen),
        values=np.array([float(shown(j.verdict.value)) for j in chosen]),
        intervals=np.array([shown(np.array(j.verdict.interval)) for j in chosen]),
        verdicts=tuple(j.verdict.verdict for j in chosen),
    )
