"""Features of a curve beside its trend: levels and their noise, a rise that stays, a swing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

MOST_BLOCKS, SMALLEST_BLOCK = 100, 5
SURE = 5.0  # standard errors: the lowest of twenty stretches lies nearly 2 of them too low by itself
LOST_AGAIN = 0.25  # share of what a run had gained: a rise that takes less is not called one
MADE_GOOD = 0.2  # share of a jump by which the loss must fall behind it to be called recovering
SUDDEN = 0.05  # share of the run within which a jump happens
SHARE_OF_SWING = 0.5  # of the variance that one frequency must hold
FEWEST_ENTRIES = 24  # of the last half
FEWEST_CYCLES, LONGEST_PERIOD = 8, 50


@dataclass(frozen=True)
class Levels:
    """Medians over blocks of entries [B], the steps of their middles [B], and the standard error of one."""

    step: np.ndarray
    level: np.ndarray
    noise: float

    @property
    def start(self) -> float:
        return float(self.level[0])

    @property
    def last(self) -> float:
        return float(self.level[-self.few :].mean())

    @property
    def best(self) -> int:
        """Block of the lowest running mean."""
        smooth = _smooth(self.level, self.few)
        return int(np.argmin(smooth))

    @property
    def lowest(self) -> float:
        return float(_smooth(self.level, self.few).min())

    @property
    def few(self) -> int:
        """Blocks that make up a level: a twentieth of the run."""
        return max(2, len(self.level) // 20)


@dataclass(frozen=True)
class Rise:
    """The loss went up and stayed there: where it began, from which level to which, and how."""

    step: int
    before: float
    after: float
    sudden: bool
    share: float  # of the run that lay behind it
    beyond_start: bool


@dataclass(frozen=True)
class Swing:
    """The loss goes up and down by itself: period in logged entries, amplitude in units of the loss."""

    period: float
    amplitude: float
    share: float  # of the variance about the line


def levels(step: np.ndarray, loss: np.ndarray) -> Levels:
    """Block medians, which single spikes leave alone; the noise of one from how neighbours differ.

    Second differences of neighbours, over the later half, cancel a line; their median absolute value over
    0.6745 sqrt(6) is the standard error of a block, with whatever correlation the steps have.
    """
    count = int(np.clip(len(loss) // SMALLEST_BLOCK, 4, MOST_BLOCKS))
    parts = np.array_split(loss, count)
    level = np.array([np.median(part) for part in parts])
    middle = np.array([part.mean() for part in np.array_split(step, count)])
    late = level[count // 2 :] if count >= 24 else level  # of few blocks a jump would be half of them
    bent = np.abs(np.diff(late, 2))
    inside = [np.median(np.abs(np.diff(part))) / 0.954 for part in parts[count // 2 :] if len(part) > 1]
    # Of independent steps: 1.2533 sigma / sqrt(n) for a median; |difference| has the median 0.954 sigma.
    least = 1.2533 * float(np.median(inside)) / np.sqrt(len(loss) / count) if inside else 0.0
    return Levels(middle, level, max(float(np.median(bent)) / (0.6745 * np.sqrt(6.0)), least))


def flat_since(curve: Levels) -> float:
    """Step after which no stretch of three blocks lies above the last level by more than its noise."""
    smooth = _smooth(curve.level, 3)
    final = float(np.mean(curve.level[-max(3, len(curve.level) // 4) :]))
    above = np.flatnonzero(smooth > final + 3.0 * curve.noise / np.sqrt(3.0))
    index = min(int(above[-1]) + 1, len(curve.step) - 1) if len(above) else 0
    return float(curve.step[index])


def rise(step: np.ndarray, loss: np.ndarray, lr: np.ndarray | None, curve: Levels) -> Rise | None:
    """A rise of the level that the run did not make good, unless a restart of the rate explains it."""
    best, lost = curve.best, curve.last - curve.lowest
    gained = max(curve.start - curve.lowest, 0.0)
    if lost <= SURE * curve.noise * np.sqrt(2.0 / curve.few) or lost < LOST_AGAIN * max(
        gained, 0.2 * abs(curve.lowest)
    ):
        return None
    begin = max(int(np.searchsorted(step, curve.step[best])) - 2 * SMALLEST_BLOCK, 0)
    if lr is not None and _was_restarted(lr, begin):
        return None
    rest = loss[begin:]
    if len(rest) < 2 * SMALLEST_BLOCK:
        return None
    at = begin + _change(rest)
    width = max(3, int(SUDDEN * len(loss) / 2))
    before = float(np.median(loss[max(begin - width, 0, at - width) : at]))
    jump = float(np.median(loss[at : at + width])) - before
    sudden = jump >= 0.6 * lost
    after = loss[at:]
    if sudden and len(after) >= 4 * SMALLEST_BLOCK and _fall(after) >= MADE_GOOD * lost:
        return None  # it recovers
    return Rise(
        int(step[at if sudden else begin]),
        before if sudden else curve.lowest,
        curve.last,
        sudden,
        at / len(loss),
        curve.last > curve.start + 3.0 * curve.noise,
    )


def swing(loss: np.ndarray, lr: np.ndarray | None, unit: float) -> Swing | None:
    """A regular up and down over the last half that the learning rate does not go along with.

    Fisher's test asks for the share of the largest periodogram ordinate: among m ordinates of white noise it
    exceeds x with probability about m (1 - x)^(m-1), next to nothing at one half. Steps that alternate
    without a fixed amplitude show in the correlation of neighbours instead.

    Source: Fisher, "Tests of significance in harmonic analysis", Proc. R. Soc. A 125, 1929.
    """
    half = loss[len(loss) // 2 :]
    n = len(half)
    if n < FEWEST_ENTRIES:
        return None
    at = np.arange(n)
    rest = half - np.polyval(np.polyfit(at, half, 1), at)
    spread, level = float(rest.std()), abs(float(half.mean()))
    if spread == 0.0 or np.sqrt(2.0) * spread < max(0.02 * unit, 0.1 * level):
        return None
    power = np.abs(np.fft.rfft(rest))[1:] ** 2
    peak = int(np.argmax(power))
    share = float(power[max(peak - 1, 0) : peak + 2].sum() / power.sum())
    period = n / (peak + 1)
    neighbours = float(np.corrcoef(rest[1:], rest[:-1])[0, 1])
    if neighbours < -0.3 - 3.0 / np.sqrt(n):
        period, share = 2.0, max(share, neighbours**2)
    elif n < 40 or share < SHARE_OF_SWING or period > LONGEST_PERIOD or n / period < FEWEST_CYCLES:
        return None
    if lr is not None and np.ptp(lr[-n:]) > 0.2 * np.max(lr[-n:]) and _is_cyclic(lr[-n:]):
        return None
    return Swing(float(period), float(np.sqrt(2.0) * spread), share)


def _was_restarted(lr: np.ndarray, best: int) -> bool:
    """Is the rate back where it had been before the best point, after it had been lower there?"""
    last = float(np.median(lr[-3:]))
    return bool(lr[best] < 0.5 * last and lr[: best + 1].max() >= 0.9 * last)


def _is_cyclic(lr: np.ndarray) -> bool:
    """Does the rate turn four times, or jump up twice?"""
    change = np.diff(lr)
    turns = int((np.diff(np.sign(change[change != 0])) != 0).sum())
    return turns >= 4 or int((change > 0.2 * np.ptp(lr)).sum()) >= 2


def _change(loss: np.ndarray) -> int:
    """The split into two means that leaves the smallest sum of squares."""
    n = len(loss)
    total, ahead = loss.sum(), np.cumsum(loss)[:-1]
    left = np.arange(1, n)
    gain = ahead**2 / left + (total - ahead) ** 2 / (n - left)
    margin = min(SMALLEST_BLOCK, n // 4)
    return margin + int(np.argmax(gain[margin - 1 : n - margin]))


def _fall(loss: np.ndarray) -> float:
    """Fall by a straight line through block means, 0 where it does not exceed its noise (99 %)."""
    blocks = min(10, len(loss) // 2)
    fit = stats.linregress(np.arange(blocks), [part.mean() for part in np.array_split(loss, blocks)])
    sure = -fit.slope > stats.t.ppf(0.99, blocks - 2) * fit.stderr
    return -float(fit.slope) * (blocks - 1) if sure else 0.0


def _smooth(values: np.ndarray, width: int) -> np.ndarray:
    """Running means, at the ends over what there is."""
    ones = np.ones(width)
    return np.convolve(values, ones, "same") / np.convolve(np.ones(len(values)), ones, "same")
