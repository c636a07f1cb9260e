"""The loss over the steps of a run: what was logged, its trend, the validation, the accident."""

from __future__ import annotations

from typing import Any, cast

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from diagkit.training import History, TrainingRun

# Okabe and Ito's palette: told apart with every kind of colour vision; the marks differ in shape as well.
BLUE, VERMILLION, GREEN, BLACK = "#0072B2", "#D55E00", "#009E73", "#000000"
FONT = 12  # points; readable from the last row
WIDE_RANGE = 30.0  # a loss that falls by more than this is drawn on a log scale
FEWEST_FOR_TREND = 20
MANY = 5000  # points among which no free place is looked for


def draw_history(history: History, ax: Axes | None = None, **options: Any) -> dict[str, Artist]:
    """Draw training and validation loss over the steps.

    The logged loss is thin, its running median thick, so that the trend is seen through minibatch noise. The
    loss axis is logarithmic where the positive losses span more than a factor of 30.

    Parameters
    ----------
    ax : where to draw; a new figure if None. Labels and a title that it has already are kept.
    options : passed to the thick line.

    Returns
    -------
    dict : what was drawn: "loss", "trend", "validation", "non_finite", "legend", as far as there is any.

    Example
    -------
    >>> drawn = draw_history(History.from_dict({"loss": [2.0, 1.0, 0.5]}))
    >>> list(drawn), drawn["trend"].axes.get_ylabel()
    (['trend', 'legend'], 'loss')
    >>> plt.close("all")
    """
    if ax is None:
        ax = plt.subplots(figsize=(7.5, 4.5), layout="constrained")[1]
    drawn: dict[str, Artist] = {}
    step, loss = _logged(history.step, history.loss)
    val_step, val_loss = _logged(history.val_step, history.val_loss)
    look = {"color": BLUE, "linewidth": 2.6, "zorder": 3, **options}
    if len(loss) >= FEWEST_FOR_TREND:
        window = max(5, len(loss) // 16) | 1
        noisy = ax.plot(
            step, loss, color=look["color"], alpha=0.45, linewidth=0.9, label="training, each step"
        )
        drawn["loss"] = noisy[0]
        trend = pd.Series(loss).rolling(window, center=True, min_periods=1).median()
        label = f"training, median of {window}"
        drawn["trend"] = ax.plot(step, trend, **{"label": label, **look})[0]
    elif len(loss):
        drawn["trend"] = ax.plot(step, loss, **{"label": "training", "marker": ".", **look})[0]
    if len(val_loss):
        drawn["validation"] = ax.plot(
            val_step, val_loss, "o--", color=VERMILLION, markersize=7, markeredgecolor="white", linewidth=1.4,
            label="validation", zorder=4,
        )[0]  # fmt: skip
    _scale(ax, np.concatenate([loss, val_loss]))
    if history.first_non_finite is not None:
        at = history.first_non_finite
        drawn["non_finite"] = ax.axvline(
            at, color=BLACK, linestyle="--", linewidth=2, label=f"NaN or Inf at step {at}"
        )
        if history.num_steps and history.step[-1] > at:
            ax.axvspan(at, float(history.step[-1]), color=BLACK, alpha=0.08, linewidth=0)
    if not drawn:
        drawn["nothing"] = ax.text(
            0.5, 0.5, "no loss was logged", transform=ax.transAxes, ha="center", fontsize=FONT
        )
    else:
        drawn["legend"] = _legend(ax, len(loss))
    _dress(ax, loss, history)
    return drawn


def draw_training_run(run: TrainingRun, ax: Axes | None = None, **options: Any) -> dict[str, Artist]:
    """Draw the history of a run and mark its best point: "best", beside what :func:`draw_history` returns."""
    drawn = draw_history(run.history, ax, **options)
    if np.isfinite(run.best_loss) and "nothing" not in drawn:
        ax = cast(Axes, next(iter(drawn.values())).axes)
        kind = "validation" if run.history.val_loss is not None else "epoch mean"
        drawn["best"] = ax.plot(
            [run.history.step[run.best_step - 1]], [run.best_loss], "*", color=GREEN, markersize=17,
            markeredgecolor="white", label=f"best {kind}: {run.best_loss:.3g}", zorder=5,
        )[0]  # fmt: skip
        drawn["legend"] = _legend(ax, run.history.num_steps)
    return drawn


def _legend(ax: Axes, num_points: int) -> Artist:
    return ax.legend(fontsize=FONT - 1, loc="best" if num_points <= MANY else "upper right", framealpha=0.85)


def _logged(steps: np.ndarray | None, values: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The finite entries and their steps."""
    if steps is None or values is None:
        return np.empty(0), np.empty(0)
    finite = np.isfinite(values)
    return steps[finite], values[finite]


def _scale(ax: Axes, values: np.ndarray) -> None:
    if len(values) and values.min() > 0 and values.max() > WIDE_RANGE * values.min():
        ax.set_yscale("log")
        decades = np.log10(values.max() / values.min())
        ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 3 else (1.0,)))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())


def _dress(ax: Axes, loss: np.ndarray, history: History) -> None:
    """Say what the axes are, unless someone has said it."""
    if not ax.get_xlabel():
        ax.set_xlabel("step", fontsize=FONT)
    if not ax.get_ylabel():
        ax.set_ylabel("loss (log scale)" if ax.get_yscale() == "log" else "loss", fontsize=FONT)
    if not ax.get_title() and len(loss) > 1:
        last = float(np.median(loss[-max(1, len(loss) // 16) :]))
        accident = history.first_non_finite
        count = int((history.step[-1] + 1 if accident is None else accident) - history.step[0])
        text = f"Loss from {loss[0]:.3g} to {last:.3g} in {count} steps"
        ax.set_title(text + ("" if accident is None else ", then NaN or Inf"), fontsize=FONT + 1)
    ax.tick_params(labelsize=FONT - 1)
    ax.grid(True, alpha=0.25)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
