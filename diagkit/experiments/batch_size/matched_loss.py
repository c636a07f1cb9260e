"""Runs compared where they have the same training loss, not where they happened to end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

INTERPOLATED = ("step", "epoch", "test_loss", "test_accuracy", "train_accuracy", "distance")


def common_loss(curves: Iterable[pd.DataFrame]) -> float:
    """The lowest training loss that every run reaches; runs that diverged are left out. NaN without runs.

    Example
    -------
    >>> common_loss([pd.DataFrame({"train_loss": [2.0, 0.1]}), pd.DataFrame({"train_loss": [2.0, 0.5]})])
    0.5
    """
    lowest = [
        float(np.nanmin(curve["train_loss"])) for curve in curves if np.isfinite(curve["train_loss"]).all()
    ]
    return max(lowest, default=float("nan"))


@dataclass(frozen=True)
class Crossing:
    """Where a run first reaches a training loss.

    Attributes
    ----------
    values : step, epoch, test loss and accuracy, distance there, interpolated.
    nearest : index of the checkpoint, of the two around, whose loss is nearer; None where it is not reached.
    train_loss : at that checkpoint.
    """

    values: dict[str, float]
    nearest: int | None
    train_loss: float


def crossing(curve: pd.DataFrame, target: float) -> Crossing:
    r"""First crossing of L = ``target``, between checkpoints i - 1 and i, where L_i is the first <= target:

    .. math:: f = \frac{\log L_{i-1} - \log \mathrm{target}}{\log L_{i-1} - \log L_i}

    (without logarithms where a loss is not positive). Other values are interpolated linearly in f. What needs
    a model, such as its sharpness, is measured at the checkpoint whose loss is nearer.

    Example
    -------
    >>> curve = pd.DataFrame({"step": [0.0, 10.0, 20.0], "train_loss": [4.0, 1.0, 0.25]})
    >>> found = crossing(curve, 0.5)
    >>> round(found.values["step"], 6), found.nearest in (1, 2)
    (15.0, True)
    """
    names = [name for name in INTERPOLATED if name in curve]
    losses = curve["train_loss"].to_numpy(float)
    reached = np.flatnonzero(losses <= target * (1 + 1e-12) if target > 0 else losses <= target)
    if not reached.size:
        return Crossing(dict.fromkeys(names, float("nan")), None, float("nan"))
    i = int(reached[0])
    f = _fraction(losses[i - 1], losses[i], target) if i else 1.0
    values = {name: _between(curve[name], i, f) for name in names}
    nearest = i if f >= 0.5 else i - 1
    return Crossing(values, nearest, float(losses[nearest]))


def _fraction(before: float, after: float, target: float) -> float:
    scale: Any = np.log if min(before, after, target) > 0 else float
    return float(np.clip((scale(before) - scale(target)) / (scale(before) - scale(after)), 0.0, 1.0))


def _between(column: pd.Series, i: int, f: float) -> float:
    after = float(column.iloc[i])
    return after if f == 1.0 else (1 - f) * float(column.iloc[i - 1]) + f * after
