"""A sweep: what a setting does to a result, seed by seed, with the mean and its interval."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, NullLocator

from diagkit.errors import InputError
from diagkit.experiments.intervals import student_interval
from diagkit.experiments.sweep_result import Sweep
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, note, spans, styled

WIDE_RANGE = 30.0  # results that span more are drawn on a log scale
RATIO = 8.0  # settings too, at this: batch sizes and rates are compared by factors
SHIFT = 0.12  # between curves, that their intervals do not hide each other; in places,
LOG_SHIFT = 0.025  # and on a log axis in widths of it


@draw.register
def draw_sweep(
    result: Sweep, ax: Axes | None = None, *, metric: str | None = None, x: str | None = None
) -> Drawn:
    """A result against a setting: thin lines join the runs of a seed, points are means with 95 % intervals.

    Every combination of the other settings is a curve of its own. Runs that failed or did not end in a finite
    number are counted in the title.

    Parameters
    ----------
    metric : the result, by default the first. x : the setting, by default the first that was varied.

    Raises
    ------
    InputError : a result or setting that the sweep does not have.
    """
    frame, names = result.frame, list(result.grid.names)
    metrics = [
        name
        for name in frame.columns
        if name not in (*names, "seed", "status", "error") and pd.api.types.is_numeric_dtype(frame[name])
    ]
    varied = [name for name in names if frame[name].nunique(dropna=False) > 1]
    metric = metrics[0] if metric is None else metric
    x = (varied or names)[0] if x is None else x
    for what, chosen, allowed in (("metric", metric, metrics), ("x", x, names)):
        if chosen not in allowed:
            raise InputError(f"{what}={chosen!r}", allowed=", ".join(allowed), write=f"{what}={allowed[0]!r}")
    others = [name for name in varied if name != x]
    good = frame[np.isfinite(frame[metric].astype(float))]
    places, log = _places(frame[x])
    with styled(ax) as axes:
        artists: dict[str, Any] = {"seeds": [], "means": []}
        groups = list(good.groupby(others, sort=False, dropna=False)) if others else [((), good)]
        for i, (values, group) in enumerate(groups):
            middle = i - (len(groups) - 1) / 2
            where = {value: _moved(place, middle, places, log) for value, place in places.items()}
            _draw_curve(axes, artists, group, metric, x, where, i, _names(others, values))
        _name_places(axes, places, log)
        if spans(good[metric].to_numpy(float), WIDE_RANGE) and good[metric].min() > 0:
            axes.set_yscale("log")
        if good.empty:
            note(axes, 0.5, 0.5, "no run ended in a finite number")
        _legend(axes, artists, len(groups) > 1)
        label(
            axes,
            title=f"{_plain(metric)} by {_plain(x)}{_what_is_missing(result, len(good))}",
            x=_with_unit(x, frame.attrs["units"]),
            y=_with_unit(metric, frame.attrs["units"]),
        )
        return Drawn(axes, artists)


def _draw_curve(
    ax: Axes,
    artists: dict[str, Any],
    group: pd.DataFrame,
    metric: str,
    x: str,
    where: dict[Any, float],
    i: int,
    name: str,
) -> None:
    color, dashes, marker = style.CURVES[i % len(style.CURVES)]
    for _, runs in group.groupby("seed", sort=False):
        at = np.array([where[value] for value in runs[x]])
        order = np.argsort(at)
        artists["seeds"] += ax.plot(
            at[order],
            runs[metric].to_numpy(float)[order],
            color=color,
            alpha=0.35,
            linewidth=style.THIN,
            marker=".",
            markersize=4,
        )
    present = sorted(group[x].unique(), key=where.__getitem__)
    samples = [group.loc[group[x] == value, metric].to_numpy(float) for value in present]
    means = np.array([sample.mean() for sample in samples])
    ends = np.array([student_interval(s) if len(s) > 1 else (s[0], s[0]) for s in samples]).reshape(-1, 2)
    artists["means"].append(
        ax.errorbar(
            [where[value] for value in present],
            means,
            yerr=np.abs(ends.T - means),
            color=color,
            linestyle=dashes,
            marker=marker,
            capsize=7,
            capthick=style.LINE,
            label=name,
            zorder=3,
        )
    )


def _places(values: pd.Series) -> tuple[dict[Any, float], bool]:
    """Where each value of a setting stands: numbers at themselves, names side by side."""
    unique = list(values.unique())
    numbers = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if not numbers:
        return {value: float(i) for i, value in enumerate(unique)}, False
    log = min(unique) > 0 and max(unique) / min(unique) >= RATIO
    if not log:
        unique = sorted(unique)
        steps = np.diff(unique) if len(unique) > 1 else np.ones(1)
        return {value: (value - unique[0]) / float(steps.min()) for value in unique}, False
    return {value: float(value) for value in unique}, True


def _moved(place: float, by: float, places: dict[Any, float], log: bool) -> float:
    """The place of one of several curves, ``by`` curves from the middle."""
    if not log:
        return place + SHIFT * by
    return place * float(max(places.values()) / min(places.values())) ** (LOG_SHIFT * by)


def _name_places(ax: Axes, places: dict[Any, float], log: bool) -> None:
    if log:
        ax.set_xscale("log")
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_minor_formatter(NullFormatter())
        low, high = min(places.values()), max(places.values())
        ax.set_xlim(low / 1.4, high * 1.4)
    else:
        ax.set_xlim(min(places.values()) - 0.5, max(places.values()) + 0.5)
    ax.set_xticks(list(places.values()), [_value(value) for value in places])


def _legend(ax: Axes, artists: dict[str, Any], several: bool) -> None:
    one = Line2D([], [], color=style.GREY, linewidth=style.THIN, marker=".", label="one seed")
    mean = Line2D([], [], color=style.GREY, marker="o", label="mean, 95 % interval")
    curves = artists["means"] if several else []
    artists["legend"] = legend_below(ax, [*curves, one, mean])


def _what_is_missing(result: Sweep, finite: int) -> str:
    facts = []
    failed = len(result.failed)
    if failed:
        facts.append(f"{failed} failed")
    if len(result.runs) - failed - finite:
        facts.append(f"{len(result.runs) - failed - finite} not finite")
    if not result.complete:
        facts.append(f"{len(result.grid.cells) - len(result.runs)} not run")
    return f" ({', '.join(facts)})" if facts else ""


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _with_unit(name: str, units: dict[str, str]) -> str:
    return f"{_plain(name)} ({units[name]})" if units.get(name) else _plain(name)


def _value(value: Any) -> str:
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    return f"{value:g}".replace("-", "−") if number else str(value)


def _names(others: list[str], values: Any) -> str:
    values = values if isinstance(values, tuple) else (values,)
    return ", ".join(f"{_plain(name)} = {_value(value)}" for name, value in zip(others, values, strict=True))
