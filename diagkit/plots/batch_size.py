"""Batch sizes compared: learning curves over steps, epochs or seconds, effects by arm, the verdict table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from diagkit.errors import InputError
from diagkit.experiments.batch_size.study import BatchSizeStudy
from diagkit.experiments.batch_size.views import ArmEffects
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, note, short, spans, styled

OVER = {
    "steps": ("step", "steps"),
    "epochs": ("epoch", "epochs"),
    "seconds": ("seconds", "seconds, one model alone"),
}
METRICS = {
    "train_loss": "training loss (all examples)",
    "test_loss": "test loss",
    "train_accuracy": "training accuracy",
    "test_accuracy": "test accuracy",
    "distance": "distance from the start",
}
# The reference is black and solid; each arm has its own colour, dash pattern and marker.
ARM_STYLES = {
    "same epochs": (style.VERMILLION, "--", "s"),
    "same steps": (style.BLUE, "-", "o"),
    "linear rate": (style.GREEN, "-.", "^"),
    "square-root rate": (style.PURPLE, ":", "v"),
    "tuned rate": (style.ORANGE, (0, (6, 1, 1, 1)), "D"),
}
WIDE_RANGE = 8.0
DECADES = 30.0
REFERENCE = 7.0  # points
MEASURES = {
    "lambda_max": r"sharpness $\lambda_{max}$",
    "keskar": "Keskar's sharpness",
    "train_loss": "training loss",
    "test_loss": "test loss",
    "test_accuracy": "test accuracy",
}
LOOKS = {
    "end": ("o", style.BLUE, "at the end"),
    "matched": ("s", style.VERMILLION, "at the same training loss"),
}


@draw.register
def draw_batch_sizes(
    result: BatchSizeStudy,
    ax: Axes | None = None,
    *,
    over: str = "steps",
    metric: str = "train_loss",
    batch_size: int | None = None,
) -> Drawn:
    """Learning curves: means over the seeds, with the range of the seeds behind them.

    Parameters
    ----------
    over : "steps", "epochs" or "seconds". metric : a loss, an accuracy, or "distance".
    batch_size : drawn in every arm beside the smallest; None for the largest.

    Raises
    ------
    InputError : another axis or metric, a batch size that was not compared.
    """
    batch_size = batch_size or result.batch_sizes[-1]
    checks = (
        ("over", over, OVER),
        ("metric", metric, METRICS),
        ("batch_size", batch_size, result.batch_sizes),
    )
    for name, chosen, allowed in checks:
        if chosen not in allowed:
            raise InputError(f"{name}={chosen!r}", allowed=f"{list(allowed)}")
    curves = result.curves
    x, words = OVER[over]
    with styled(ax) as axes:
        artists: dict[str, Any] = {"means": [], "seeds": []}
        for arm, size, name, look in _lines(result, batch_size):
            here = curves[(curves["arm"] == arm) & (curves["batch_size"] == size)] if len(curves) else curves
            if len(here):
                _draw_curve(axes, artists, here, x, metric, name, look)
        values = curves[metric].to_numpy(float) if len(curves) else np.zeros(0)
        if np.isfinite(values).any():
            axes.set_xscale("log")
            if metric.endswith("loss") and spans(values, WIDE_RANGE):
                axes.set_yscale("log")
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))
                axis.set_minor_formatter(NullFormatter())
            if axes.get_yscale() == "log" and not spans(values, DECADES):  # one decade has one major tick
                axes.yaxis.set_minor_formatter(
                    FuncFormatter(lambda value, _: plain(value) if f"{value:e}"[0] in "25" else "")
                )
        else:
            note(axes, 0.5, 0.5, "no numbers")
        if metric == "train_loss" and np.isfinite(result.target_loss):
            artists["target"] = axes.axhline(result.target_loss, color=style.GREY, lw=style.THIN, ls="--")
            where: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "color": style.GREY}
            where |= {"ha": "right", "path_effects": style.outlined()}  # where the curves are below it
            axes.text(0.99, result.target_loss, "compared here", va="bottom", **where)
        artists["legend"] = legend_below(axes)
        label(
            axes, title=f"Batch size {batch_size} against {result.batch_sizes[0]}", x=words, y=METRICS[metric]
        )
        return Drawn(axes, artists)


def plain(value: float) -> str:
    """A number on an axis: a power of ten where it would take many digits.

    Example
    -------
    >>> plain(0.02), plain(1000.0), plain(1e7)
    ('0.02', '1000', '$10^{7}$')
    """
    if value > 0 and not 1e-3 <= value < 1e4:
        mantissa, power = f"{value:.0e}".split("e")
        times = "" if mantissa == "1" else rf"{mantissa} \times "
        return f"${times}10^{{{int(power)}}}$"
    return f"{value:g}"


def _lines(result: BatchSizeStudy, batch_size: int) -> list[tuple[str, int, str, tuple[Any, Any, Any]]]:
    """Arm, batch size, name and look of each curve; the reference once."""
    small = result.batch_sizes[0]
    plain = [arm for arm in result.arms if arm != "tuned rate"]
    lines = []
    if plain:
        lines.append(
            (plain[0], small, f"B = {small}", (style.BLACK, "-", ""))
        )  # wide and pale, so that what lies on it is seen
    if "tuned rate" in result.arms:
        lines.append(("tuned rate", small, f"B = {small}, tuned rate", (style.GREY, "-", "")))
    return lines + [(arm, batch_size, f"B = {batch_size}, {arm}", ARM_STYLES[arm]) for arm in result.arms]


def _draw_curve(
    ax: Axes, artists: dict[str, Any], here: pd.DataFrame, x: str, metric: str, name: str, look: Any
) -> None:
    color, dashes, marker = look
    table = here[here["step"] > 0].pivot(index="step", columns="seed", values=metric)
    at = here.drop_duplicates("step").set_index("step", drop=False)[x].reindex(table.index).to_numpy(float)
    means = table.mean(axis=1).to_numpy(float)
    artists["seeds"].append(
        ax.fill_between(at, table.min(axis=1), table.max(axis=1), color=color, alpha=0.15, linewidth=0)
    )
    pale: dict[str, Any] = {} if marker else {"linewidth": REFERENCE, "alpha": 0.4, "zorder": 1}
    line = ax.plot(
        at, means, color=color, linestyle=dashes, marker=marker, markevery=[-1], label=name, **pale
    )[0]
    artists["means"].append(line)


@draw.register
def draw_arm_effects(result: ArmEffects, ax: Axes | None = None) -> Drawn:
    """Each arm's effect with its 95 % interval; the grey band holds effects too small to matter."""
    arms = list(dict.fromkeys(result.arms))[::-1]
    small, large = result.batch_sizes
    with styled(ax) as axes:
        artists: dict[str, Any] = {"effects": []}
        ratio = result.unit == "times"
        low, high = (1 / result.margin, result.margin) if ratio else (-result.margin, result.margin)
        artists["band"] = axes.axvspan(low, high, color=style.UNKNOWN_FACE, zorder=0)
        artists["neutral"] = axes.axvline(result.neutral, color=style.BLACK, lw=style.THIN)
        for at, (marker, color, name) in LOOKS.items():
            chosen = [i for i, one in enumerate(result.at) if one == at]
            if not chosen:
                continue
            shift = 0.13 if at == "end" and "matched" in result.at else -0.13 if at == "matched" else 0.0
            values, intervals = result.values[chosen], result.intervals[chosen]
            artists["effects"].append(
                axes.errorbar(
                    values,
                    [arms.index(result.arms[i]) + shift for i in chosen],
                    xerr=np.abs(intervals.T - values),
                    fmt=marker,
                    color=color,
                    capsize=7,
                    capthick=style.LINE,
                    label=name,
                )
            )
        if ratio and np.isfinite(result.values).any():
            _name_ratios(axes, np.append(result.intervals[np.isfinite(result.intervals)], [low, high]))
        axes.set_yticks(range(len(arms)), arms)
        axes.set_ylim(-0.6, len(arms) - 0.4)
        band = Line2D([], [], color=style.UNKNOWN_FACE, linewidth=10, label="too small to matter")
        artists["legend"] = legend_below(axes, [*axes.get_legend_handles_labels()[0], band])
        label(
            axes,
            title=f"{MEASURES[result.measure]}, B = {large} against {small}",
            x=f"B = {large} over B = {small}" if ratio else f"B = {large} less B = {small} ({result.unit})",
        )
        return Drawn(axes, artists)


def _name_ratios(ax: Axes, values: np.ndarray) -> None:
    """A log axis with a few plain factors on it."""
    low, high = float(values.min()) / 1.15, float(values.max()) * 1.15
    ax.set_xscale("log")
    ax.set_xlim(low, high)
    steps = (
        (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
        if high / low > 5
        else (
            0.2,
            0.25,
            0.33,
            0.5,
            0.67,
            0.8,
            1,
            1.25,
            1.5,
            2,
            3,
            4,
            5,
        )
    )
    ticks = [x for x in steps if low <= x <= high]
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xticks(ticks, [f"× {short(x)}" for x in ticks])
