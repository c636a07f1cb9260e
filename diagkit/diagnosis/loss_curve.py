"""A loss curve and everything that it says by itself, read once."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from diagkit.diagnosis.curve import SHORTEST, Trend, trend
from diagkit.diagnosis.curve_outlook import (
    SpentSchedule,
    ValidationRise,
    spent_schedule,
    validation_rise,
)
from diagkit.diagnosis.curve_shape import Levels, Rise, Swing, flat_since, levels, rise, swing
from diagkit.result import Result
from diagkit.training import History

WORTH_SAYING = 0.005  # share of the unit that the last quarter of a run must gain
FLAT_WITHIN = 0.05  # share of the unit: what the last quarter may have gained unseen in a flat curve


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class LossCurve(Result):
    """What the log of a run says about its loss, each number beside its noise.

    Attributes
    ----------
    history : the log. judged : "loss", or "val_loss" where no training loss was logged.
    trend : fall over the last quarter with its standard error; None with fewer than 20 losses.
    levels : block medians and the noise of one. unit : the scale for "much", the larger of first and last
    level.
    flat_since : step after which the level does not change beyond its noise; None while it falls.
    rise : a rise that was not made good. swing : a regular up and down. overfit : the validation loss after
    its lowest point. spent : a learning rate that has run out. Each None where there is none to speak of.
    rate_left : last learning rate over the highest one, None if not logged.
    """

    history: History
    judged: str
    trend: Trend | None
    levels: Levels | None
    unit: float
    flat_since: float | None
    rise: Rise | None
    swing: Swing | None
    overfit: ValidationRise | None
    spent: SpentSchedule | None
    rate_left: float | None

    @property
    def is_falling(self) -> bool:
        """The last quarter fell beyond its noise and by an amount worth saying."""
        return (
            self.trend is not None and self.trend.is_falling and self.trend.fall >= WORTH_SAYING * self.unit
        )

    @property
    def is_flat(self) -> bool:
        """Whatever it may have gained unseen in the last quarter is small."""
        known = self.trend is not None and not self.is_falling
        return known and self.trend.fall + 2.0 * self.trend.sem < FLAT_WITHIN * self.unit  # type: ignore[union-attr]

    @property
    def level_share(self) -> float | None:
        """Last level over the first, None where losses are negative or too few."""
        if self.levels is None or self.levels.start <= 0 or self.levels.last < 0:
            return None
        return self.levels.last / self.levels.start

    @property
    def has_fallen(self) -> bool:
        """The run gained beyond doubt: half of its first level, or, below zero, ten times the noise."""
        if self.levels is None:
            return False
        share, curve = self.level_share, self.levels
        return curve.start - curve.last > 10.0 * curve.noise if share is None else share <= 0.5

    def summary(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"entries": len(self.history.series.get(self.judged, ()))}
        if self.levels is not None:
            facts |= {
                "first_level": self.levels.start,
                "last_level": self.levels.last,
                "noise": self.levels.noise,
            }
        if self.trend is not None:
            facts |= {"fall": self.trend.fall, "sem": self.trend.sem}
        marks: Mapping[str, Any] = {
            "flat_since": self.flat_since,
            "rise_at": self.rise and self.rise.step,
            "swing_period": self.swing and self.swing.period,
            "best_validation_at": (self.overfit and self.overfit.significant and self.overfit.step) or None,
            "rate_spent_at": self.spent and self.spent.step,
        }
        return facts | {name: value for name, value in marks.items() if value is not None}


def read_curve(history: History) -> LossCurve:
    """Read the loss of a history, or its validation loss where that is all there is.

    Example
    -------
    >>> curve = read_curve(History.from_dict({"loss": [2.0 - 0.01 * t for t in range(100)]}))
    >>> curve.is_falling, round(curve.trend.fall, 3), curve.rise
    (True, 0.24, None)
    """
    started = time.perf_counter()
    only_validation = history.loss is None and history.val_loss is not None
    judged = "val_loss" if only_validation else "loss"
    own = history
    if only_validation:
        own = History.from_dict({"step": history.val_step, "loss": history.val_loss})
    step, loss, lr = _entries(own)
    enough = len(loss) >= SHORTEST
    curve = levels(step, loss) if enough else None
    unit = max(abs(curve.start), abs(curve.last)) if curve is not None else 0.0
    unit = unit or 1.0  # a loss of zero throughout
    line = trend(own)
    falling = line is not None and line.is_falling and line.fall >= WORTH_SAYING * unit
    overfit = None
    if history.val_loss is not None and history.val_step is not None:
        overfit = validation_rise(history.val_step, history.val_loss, None if only_validation else curve)
    return LossCurve(
        history=history,
        judged=judged,
        trend=line,
        levels=curve,
        unit=unit,
        flat_since=flat_since(curve) if curve is not None and not falling else None,
        # A validation loss that rises means something else: see overfit.
        rise=rise(step, loss, lr, curve) if curve is not None and not only_validation else None,
        swing=swing(loss, lr, unit) if curve is not None and not falling and not only_validation else None,
        overfit=overfit,
        spent=spent_schedule(step, loss, lr) if enough else None,
        rate_left=None if lr is None or not lr.max() > 0 else float(lr[-1] / lr.max()),
        seconds=time.perf_counter() - started,
    )


def _entries(history: History) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Steps, finite losses and the learning rate at them, filled forward where it was logged less often."""
    if history.loss is None:
        return np.empty(0), np.empty(0), None
    finite = np.isfinite(history.loss)
    step, loss = history.step[finite], history.loss[finite]
    lr = history.lr
    if lr is None or not np.isfinite(lr).any():
        return step, loss, None
    known = np.flatnonzero(np.isfinite(lr))
    last = np.clip(np.searchsorted(known, np.arange(len(lr)), side="right") - 1, 0, None)
    return step, loss, lr[known[last]][finite]
