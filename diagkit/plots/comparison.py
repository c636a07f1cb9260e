"""Pairs, rates and verdicts: an effect and its interval, against 0 and the smallest that matters."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from diagkit.experiments.paired import PairedDifference
from diagkit.experiments.success_rates import RateDifference
from diagkit.experiments.verdict import Verdict
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, note, short, styled

COLORS = {"reproduced": style.BLUE, "not reproduced": style.VERMILLION, "inconclusive": style.BLACK}
CLAIMED = {
    "increase": (0.75, "claimed: →"),
    "decrease": (0.25, "← claimed"),
    "no difference": (0.5, "claimed: ≈ 0"),
}
WRAP = 44  # characters of a claim per line


@draw.register
def draw_paired_difference(result: PairedDifference, ax: Axes | None = None) -> Drawn:
    """The difference of each pair, and their mean with its 95 % interval, against 0."""
    finite = result.differences[np.isfinite(result.differences)]
    height = np.linspace(0.30, 0.60, len(finite)) if len(finite) > 1 else np.full(len(finite), 0.45)
    with styled(ax) as axes:
        artists: dict[str, Any] = {"zero": _zero(axes)}
        artists["differences"] = axes.plot(finite, height, "o", color=style.GREY, markersize=style.MARKER)[0]
        note(axes, 0.02, 0.68, "each seed", ha="left", color=style.GREY)
        if np.isfinite(result.value):
            artists["mean"] = _interval(axes, result.value, result.interval, 0.84, style.BLUE)
            note(axes, 0.02, 0.93, "mean and 95 % interval", ha="left", color=style.BLUE)
        below, above = int((result.differences < 0).sum()), result.num_positive
        artists["signs"] = note(
            axes, 0.5, 0.12, f"{below} below 0, {above} above 0; sign test p = {short(result.sign_p, 2)}"
        )
        _strip(axes)
        undefined = f" ({result.num_undefined} without a number)" if result.num_undefined else ""
        label(
            axes,
            title=f"Difference of {result.count} pairs: {_effect(result.value, result.interval)}{undefined}",
            x=_axis("second less first", result.unit),
        )
        return Drawn(axes, artists)


@draw.register
def draw_rate_difference(result: RateDifference, ax: Axes | None = None) -> Drawn:
    """Both success rates with Wilson's intervals, on a scale from 0 to 1."""
    with styled(ax) as axes:
        artists: dict[str, Any] = {}
        arms = (("first", result.first, 0.70, style.VERMILLION), ("second", result.second, 0.32, style.BLUE))
        for name, rate, y, color in arms:
            artists[name] = _interval(axes, rate.value, rate.limits(0.95), y, color)
            note(axes, 0.5, y + 0.12, f"{name}: {rate.successes} of {rate.runs} runs", color=color)
        _strip(axes)
        axes.set_xlim(-0.03, 1.03)
        label(
            axes,
            title=f"Difference of success rates: {_effect(result.value, result.interval)}",
            x="success rate, with 95 % interval",
        )
        return Drawn(axes, artists)


@draw.register
def draw_verdict(result: Verdict, ax: Axes | None = None) -> Drawn:
    """The effect with its 95 % interval; what is too small to matter is hatched, the claim is named."""
    color = COLORS[result.verdict]
    with styled(ax) as axes:
        artists: dict[str, Any] = {"zero": _zero(axes)}
        if result.smallest:
            artists["smallest"] = axes.axvspan(
                -result.smallest,
                result.smallest,
                facecolor=style.UNKNOWN_FACE,
                hatch=style.HATCH,
                edgecolor="white",
                linewidth=0,
            )
        if np.isfinite(result.value):
            artists["effect"] = _interval(axes, result.value, result.interval, 0.45, color)
        reach = 1.25 * max(
            [abs(x) for x in (*result.interval, result.smallest) if np.isfinite(x)], default=1.0
        )
        axes.set_xlim(-(reach or 1.0), reach or 1.0)
        artists["verdict"] = note(
            axes, 0.5, 0.9, result.verdict.upper(), color=color, fontsize=style.TITLE + 4, fontweight="bold"
        )
        where, words = CLAIMED[result.expects]
        artists["claimed"] = note(axes, where, 0.2, words)
        if result.smallest:
            note(axes, 0.5, 0.08, f"hatched: too small to matter (below {short(result.smallest)})")
        _strip(axes)
        label(axes, title=_wrapped(result.claim), x=_axis(f"effect, n = {result.count}", result.unit))
        return Drawn(axes, artists)


def _interval(ax: Axes, value: float, ends: tuple[float, float], y: float, color: str) -> Any:
    low, high = ends
    return ax.errorbar(
        [value],
        [y],
        xerr=[[max(0.0, value - low)], [max(0.0, high - value)]],
        fmt="D",
        color=color,
        markersize=style.MARKER + 3,
        capsize=9,
        capthick=style.LINE,
        zorder=3,
    )


def _zero(ax: Axes) -> Any:
    return ax.axvline(0.0, color=style.BLACK, linewidth=style.THIN, linestyle="--", zorder=1)


def _strip(ax: Axes) -> None:
    """The height means nothing here."""
    ax.set_ylim(0.0, 1.0)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)


def _effect(value: float, ends: tuple[float, float]) -> str:
    return f"{short(value)} [{short(ends[0])}, {short(ends[1])}]"


def _axis(name: str, unit: str) -> str:
    return f"{name} ({unit})" if unit else name


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(text, WRAP))
