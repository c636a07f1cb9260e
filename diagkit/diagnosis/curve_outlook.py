"""What the other series say beside the loss: validation that rises, a learning rate that has run out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from diagkit.diagnosis.curve_shape import Levels

FEWEST_VALIDATIONS, FEWEST_AFTER = 8, 5
LEVEL_OF_TEST = 0.005
WORTH = 0.02  # share of the lowest validation loss, and
WORTH_OF_FALL = 0.05  # of what it had fallen by, that a rise must reach
SPENT = 0.01  # share of its peak below which a learning rate moves nothing
SPENT_FOR = 0.15  # share of the run; a cosine to zero is below SPENT for 0.064 of its length
STILL_FELL = 0.05  # share of the level by which the loss fell over the last third at a high rate


@dataclass(frozen=True)
class ValidationRise:
    """Validation loss after its lowest point.

    Attributes
    ----------
    step : of the lowest point. lowest : its value. rise, sem : by a straight line from there to the end.
    significant : beyond the noise at level 0.005, and worth saying. training_falls : None if not logged.
    """

    step: int
    lowest: float
    rise: float
    sem: float
    significant: bool
    training_falls: bool | None


@dataclass(frozen=True)
class SpentSchedule:
    """A rate that has been next to zero for a while: since when, and what the loss did before."""

    step: int
    share: float  # of the run spent at next to no rate
    fall_before: float
    fall_after: float
    early: bool


def validation_rise(step: np.ndarray, loss: np.ndarray, training: Levels | None) -> ValidationRise | None:
    """Slope of the validation loss behind its lowest point, t-tested; None with fewer than eight of them.

    The lowest point itself is left out: chosen for being low, it would make any noise seem to rise. Residuals
    that follow each other count as fewer: n (1 - r) / (1 + r) of them with r their correlation.
    """
    finite = np.isfinite(loss)
    step, loss = step[finite], loss[finite]
    if len(loss) < FEWEST_VALIDATIONS:
        return None
    best = int(np.argmin(loss))
    at, after = step[best + 1 :].astype(float), loss[best + 1 :]
    lowest, fallen = float(loss[best]), max(float(loss[:3].mean() - loss[best]), 0.0)
    n = len(after)
    if n < FEWEST_AFTER:
        return ValidationRise(int(step[best]), lowest, 0.0, 0.0, False, None)
    fit = stats.linregress(at, after)
    rest = after - (fit.intercept + fit.slope * at)
    spread = float(rest.std())
    follow = float(np.clip(np.corrcoef(rest[1:], rest[:-1])[0, 1], 0.0, 0.9)) if n > 5 and spread > 0 else 0.0
    span = float(at[-1] - at[0])
    rise = float(fit.slope * span)
    sem = float(fit.stderr * span) * np.sqrt((1 + follow) / (1 - follow))
    worth = max(WORTH * abs(lowest), WORTH_OF_FALL * fallen, 2.0 * spread)
    significant = rise > stats.t.ppf(1 - LEVEL_OF_TEST, n - 2) * sem and rise >= worth
    falls = None
    if training is not None:
        then = np.interp(step[best], training.step, training.level)
        falls = bool(training.last <= then + 3.0 * training.noise)
    return ValidationRise(int(step[best]), lowest, rise, sem, bool(significant), falls)


def spent_schedule(step: np.ndarray, loss: np.ndarray, lr: np.ndarray | None) -> SpentSchedule | None:
    """Did the rate run out while the loss was falling? None where it did not run out, or is not logged.

    How the loss fell while the rate decayed proves nothing, since less noise lowers it too: what counts is its
    fall over the last third of the steps at half of the peak or more.
    """
    if lr is None or len(lr) < 20 or not np.nanmax(lr) > 0:
        return None
    relative = lr / np.nanmax(lr)
    alive, high = np.flatnonzero(relative > SPENT), np.flatnonzero(relative >= 0.5)
    begin, end = int(alive[-1]) + 1, int(high[-1]) + 1
    run = float(step[-1] - step[0]) or 1.0
    share = float(step[-1] - step[begin]) / run if begin < len(step) else 0.0
    if share < SPENT_FOR or end < 15 or len(loss) - begin < 5:
        return None
    before, sure = _fall(loss[end - max(10, end // 3) : end])
    after, sure_after = _fall(loss[begin:])
    level, left = abs(float(np.median(loss[max(end - 10, 0) : end]))), abs(float(np.median(loss[begin:])))
    start = abs(float(np.median(loss[:5])))
    early = sure and before >= STILL_FELL * level and left >= 0.05 * start
    early = early and not (sure_after and after > 0.3 * before)
    return SpentSchedule(int(step[begin]), share, before, after, early)


def _fall(loss: np.ndarray) -> tuple[float, bool]:
    """Fall by a straight line through up to ten block means, and whether it exceeds its noise (99.9 %)."""
    blocks = min(10, len(loss))
    fit = stats.linregress(np.arange(blocks), [part.mean() for part in np.array_split(loss, blocks)])
    fall = -float(fit.slope) * (blocks - 1)
    return fall, bool(fall > stats.t.ppf(0.999, max(blocks - 2, 1)) * float(fit.stderr) * (blocks - 1))
