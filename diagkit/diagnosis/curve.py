"""What a loss curve alone says, judged against its own noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from diagkit.training import History

BLOCKS = 10  # means over blocks of steps are nearly independent, which single steps are not
SHORTEST = 20  # entries below which a curve says nothing


@dataclass(frozen=True)
class Trend:
    """Fall of the loss over the last part of a run.

    Attributes
    ----------
    fall : how much the loss falls over the window, from a straight line through block means.
    sem : its standard error. window : steps in the window. last : level at its end, from the line.
    total : fall from the first block of the run to the end. num_steps : length of the run in steps.
    """

    fall: float
    sem: float
    window: int
    last: float
    total: float
    num_steps: int

    @property
    def is_falling(self) -> bool:
        """Beyond its noise, one-sided 99 %."""
        return self.fall > stats.t.ppf(0.99, BLOCKS - 2) * self.sem


def trend(history: History | None, fraction: float = 0.25) -> Trend | None:
    """Trend over the last ``fraction`` of the logged losses; None where there are too few."""
    if history is None or history.loss is None:
        return None
    finite = np.isfinite(history.loss)
    loss, step = history.loss[finite], history.step[finite]
    if len(loss) < SHORTEST:
        return None
    count = max(SHORTEST // 2, int(len(loss) * fraction))
    tail, at = loss[-count:], step[-count:]
    blocks = min(BLOCKS, count)
    means = np.array([part.mean() for part in np.array_split(tail, blocks)])
    places = np.array([part.mean() for part in np.array_split(at, blocks)])
    fit = stats.linregress(places, means)
    span = float(at[-1] - at[0]) or 1.0
    first = float(loss[: max(1, len(loss) // 20)].mean())
    last = float(fit.intercept + fit.slope * at[-1])
    return Trend(
        fall=float(-fit.slope * span),
        sem=float(np.nan_to_num(fit.stderr) * span),  # NaN for a constant, which has no noise
        window=int(span),
        last=last,
        total=first - last,
        num_steps=int(step[-1] - step[0]) + 1,
    )


def fall_between_halves(losses: np.ndarray) -> tuple[float, float]:
    """Fall over runs [seeds, points]: mean and half its 95 % t-interval over seeds, inf for one seed.

    Twice the difference between the means of the first and the second half: a run that hovers does not
    count as falling because it was left at the top of a wave.
    """
    half, n = losses.shape[1] // 2, len(losses)
    fall = 2 * (losses[:, :half].mean(axis=1) - losses[:, half:].mean(axis=1))
    spread = stats.t.ppf(0.975, n - 1) * fall.std(ddof=1) / np.sqrt(n) if n > 1 else np.inf
    return float(fall.mean()), float(spread)
