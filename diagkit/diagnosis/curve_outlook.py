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
LATE = 2 / 3  # of the path, sum of rates, lies behind the part that is judged
STILL_LEFT = 0.05  # share of the level by which the same way again must be expected to lower the loss
TOGETHER = 0.99  # correlation of path and rate beyond which their effects cannot be told apart
BLOCKS = 20


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
    """A rate that has been next to zero for a while.

    Attributes
    ----------
    step : since when. share : of the run. before, sem : what the last third of the path lowered the loss by,
    apart from the noise that goes with the rate. after : fall since. early : the loss could still fall.
    """

    step: int
    share: float
    before: float
    sem: float
    after: float
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
    sem = float(np.nan_to_num(fit.stderr) * span) * np.sqrt((1 + follow) / (1 - follow))
    worth = max(WORTH * abs(lowest), WORTH_OF_FALL * fallen, 2.0 * spread)
    significant = rise > stats.t.ppf(1 - LEVEL_OF_TEST, n - 2) * sem and rise >= worth
    falls = None
    if training is not None:
        then = np.interp(step[best], training.step, training.level)
        falls = bool(training.last <= then + 3.0 * training.noise)
    return ValidationRise(int(step[best]), lowest, rise, sem, bool(significant), falls)


def spent_schedule(step: np.ndarray, loss: np.ndarray, lr: np.ndarray | None) -> SpentSchedule | None:
    """Did the rate run out while the loss was falling? None where it did not run out, or is not logged.

    A decaying rate lowers the loss in two ways: by the path S = sum of rates that is travelled, and by the
    noise that goes with the rate. Block means over the last third of the path are fitted by a + b S + c lr;
    the loss could still fall where b is negative beyond its error (99.5 %). Where path and rate change
    together, as in an exponential decay, nothing is claimed. What is left to gain is extrapolated as a
    geometric series: with the fall f over the last third and f' over the third before, f^2 / (f' - f).
    """
    if lr is None or len(lr) < 20 or not lr.max() > 0:
        return None
    relative = lr / lr.max()
    begin = int(np.flatnonzero(relative > SPENT)[-1]) + 1
    run = float(step[-1] - step[0]) or 1.0
    share = float(step[-1] - step[begin]) / run if begin < len(step) else 0.0
    if share < SPENT_FOR or begin < 20 or len(loss) - begin < 5:
        return None
    path = np.cumsum(relative)
    first = int(np.searchsorted(path, LATE * path[begin - 1]))
    before, sem, freedom = _fall_along(path[first:begin], relative[first:begin], loss[first:begin])
    places = np.searchsorted(path, np.array([1 - LATE, LATE]) * path[begin - 1])
    wide = max(2, begin // 40)
    third = -float(np.diff([np.median(loss[max(p - wide, 0) : p + wide + 1]) for p in places])[0])
    again = min(before / third, 0.9) if third > 0 else 0.9
    blocks = min(10, len(loss) - begin)
    tail = stats.linregress(np.arange(blocks), [p.mean() for p in np.array_split(loss[begin:], blocks)])
    after = -float(tail.slope) * (blocks - 1)
    level, start = abs(float(np.median(loss[begin:]))), abs(float(np.median(loss[:5])))
    left = before * again / (1 - again)
    early = before > stats.t.ppf(0.995, freedom) * sem and left >= STILL_LEFT * level
    return SpentSchedule(
        int(step[begin]),
        share,
        before,
        sem,
        after,
        bool(early and level >= 0.05 * start and after < 0.3 * before),
    )


def _fall_along(path: np.ndarray, rate: np.ndarray, loss: np.ndarray) -> tuple[float, float, int]:
    """Fall over this path at an unchanged rate, by least squares, its standard error, degrees of freedom."""
    parts = np.array_split(np.arange(len(loss)), min(BLOCKS, len(loss)))
    mean = [np.array([values[part].mean() for part in parts]) for values in (path, rate, loss)]
    columns = [np.ones(len(parts)), mean[0] - mean[0].mean()]
    if np.ptp(mean[1]) > 0.01:
        if abs(np.corrcoef(mean[0], mean[1])[0, 1]) > TOGETHER:
            return 0.0, np.inf, 1
        columns.append(mean[1] - mean[1].mean())
    design = np.stack(columns, axis=1)
    weights, *_ = np.linalg.lstsq(design, mean[2], rcond=None)
    rest = mean[2] - design @ weights
    freedom = max(len(parts) - design.shape[1], 1)
    variance = float(rest @ rest) / freedom
    inverse = np.linalg.pinv(design.T @ design)
    span = float(np.ptp(path))
    return -float(weights[1]) * span, float(np.sqrt(variance * inverse[1, 1])) * span, freedom
