"""Sharpness: what each measure is made of and how sure it is, and which measures survive a rescaling."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullFormatter

from diagkit.measure import HighestLoss, Measured, Sharpness, SharpnessInvariance
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, short, styled

LONGEST = 160.0  # percent of the value that the axis shows at most
HEIGHT = 0.55
# Part of the rise -> attribute, colour, hatch.
PARTS = {
    "gradient (first order)": ("first_order", style.ORANGE, style.HATCH),
    "curvature (second order)": ("second_order", style.BLUE, ""),
    "higher orders": ("beyond", style.SKY, ".."),
}
# Verdict -> colour, marker.
VERDICTS = {
    "survives": (style.BLUE, "o"),
    "does not": (style.VERMILLION, "X"),
    "undecided": (style.GREY, "s"),
}
NAMES = {
    "lambda_max": "$\\lambda_{max}$ of H",
    "trace": "trace of H",
    "keskar": "Keskar (box)",
    "sam": "SAM (ball)",
    "adaptive": "adaptive SAM",
    "relative_flatness": "relative flatness",
    "||w||^2 lambda_max": "$\\|w\\|^2\\lambda_{max}$",
}


@draw.register
def draw_sharpness(result: Sharpness, ax: Axes | None = None) -> Drawn:
    """Each measure as a bar of 100 % of its value, with its error; the three maxima as what they consist of.

    Measures have different units, so that lengths say how sure a number is and not how large; the numbers
    stand beside the bars. Black triangles point to where the truth of a lower bound lies.
    """
    found = result.measures
    with styled(ax) as axes:
        artists: dict[str, Any] = {"parts": {}, "errors": {}, "values": []}
        for row, (name, measured) in enumerate(found.items()):
            artists["parts"][name] = _bars(axes, row, measured)
            artists["errors"][name] = _error(axes, row, measured)
            artists["values"].append(
                axes.text(
                    1.03, row, _number(name, measured), transform=axes.get_yaxis_transform(), va="center"
                )
            )
        artists["value"] = axes.axvline(100.0, color="black", linewidth=style.THIN, linestyle=":")
        axes.set_yticks(range(len(found)), labels=[_name(name, result) for name in found])
        axes.set_ylim(len(found) - 0.5, -0.5)
        low, high = axes.get_xlim()
        axes.set_xlim(max(min(low, 0.0), 100.0 - LONGEST), min(max(high, 125.0), LONGEST))
        partial = "" if result.complete else " (partial)"
        label(
            axes,
            title=f"How sharp is it here?{partial}{_warning(result)}",
            x="percent of each measure's own value",
        )
        artists["legend"] = legend_below(axes, _legend(axes))
        return Drawn(axes, artists)


def _bars(ax: Axes, row: int, measured: Measured) -> list[Any]:
    """One bar, or three parts of it: what is positive to the right of zero, what is negative to the left."""
    if not isinstance(measured, HighestLoss):
        return list(ax.barh(row, 100.0, HEIGHT, color=style.GREY, alpha=0.5))
    if not measured.value > 0 or not np.isfinite(measured.value):
        return []
    ends, bars = {True: 0.0, False: 0.0}, []
    for attribute, color, hatch in PARTS.values():
        width = float(np.clip(100.0 * getattr(measured, attribute) / measured.value, -1e3, 1e3))
        look: dict[str, Any] = {"color": color, "edgecolor": "black", "linewidth": style.THIN, "hatch": hatch}
        bars += list(ax.barh(row, width, HEIGHT, left=ends[width >= 0], **look))
        ends[width >= 0] += width
    return bars


def _error(ax: Axes, row: int, measured: Measured) -> Any:
    """A whisker of one interval or two standard errors; an arrow to the right for a lower bound."""
    if measured.kind == "lower bound":
        return ax.plot(
            [107.0], [row], ">", color="black", markersize=style.MARKER + 4, markeredgecolor="white", zorder=5
        )[0]
    width = measured.error * (2.0 if measured.kind == "sem" else 1.0) / max(abs(measured.value), 1e-300)
    width = 100.0 * float(np.nan_to_num(min(width, 10.0), nan=10.0))
    return ax.errorbar([100.0], [row], xerr=[width], fmt="none", ecolor="black", capsize=7, elinewidth=2.0)


def _number(name: str, measured: Measured) -> str:
    """The value as it would be said.

    Example
    -------
    >>> _number("keskar", Measured(2.5, 0.001, "lower bound", 9))
    'at least 2.5 %'
    >>> _number("trace", Measured(20.0, 1.0, "sem", 100)), _number("trace", Measured(2.0, 0.0, "sem", 9))
    ('20 ± 2', '2')
    """
    unit = " %" if name == "keskar" else ""
    if measured.kind == "lower bound":
        return f"at least {short(measured.value)}{unit}"
    error = measured.error * (2.0 if measured.kind == "sem" else 1.0)
    if error < 5e-4 * abs(measured.value):
        return short(measured.value)
    return f"{short(measured.value)} ± {short(error, 2)}"


def _name(name: str, result: Sharpness) -> str:
    radius = {
        "keskar": f"ε = {result.eps:g}" + (f", {result.subspace} dim." if result.subspace else ""),
        "sam": f"ρ = {result.rho:g}",
        "adaptive": f"ρ = {result.rho_adaptive:g}",
    }
    return f"{NAMES[name]}\n{radius[name]}" if name in radius else NAMES[name]


def _warning(result: Sharpness) -> str:
    """Where gradient makes up most of the rise in every neighbourhood the place is steep, and that is all."""
    found = (result.keskar, result.sam, result.adaptive)
    mostly = all(one.value > 0 and one.first_order > 0.5 * one.value for one in found)
    return "\nmostly gradient: steep, not sharp" if mostly else ""


def _legend(ax: Axes) -> list[Any]:
    parts = [
        Patch(facecolor=color, edgecolor="black", hatch=hatch, label=words)
        for words, (_, color, hatch) in PARTS.items()
    ]
    look: dict[str, Any] = {"color": "black", "linestyle": "none"}
    (whisker,) = ax.plot([], [], marker="|", markersize=16, label="error (interval, 2 sem)", **look)
    (arrow,) = ax.plot(
        [], [], marker=">", markersize=style.MARKER + 2, label="lower bound: or higher", **look
    )
    return [*parts, whisker, arrow]


@draw.register
def draw_sharpness_invariance(result: SharpnessInvariance, ax: Axes | None = None) -> Drawn:
    """After over before for each measure, on a log axis; inside the band around 1 it survives.

    Colour, marker and word are the verdict. What is not positive has no place on the axis, only its word.
    """
    ratios, errors = result.ratios, result.ratio_errors
    drawn = np.isfinite(ratios) & (ratios > 0)
    with styled(ax) as axes:
        axes.set_xscale("log")
        artists: dict[str, Any] = {"points": {}, "words": []}
        artists["band"] = axes.axvspan(
            1.0 / (1.0 + result.tolerance), 1.0 + result.tolerance, color=style.GREY, alpha=0.3, linewidth=0
        )
        artists["one"] = axes.axvline(1.0, color="black", linewidth=style.THIN)
        for row, (ratio, error, verdict) in enumerate(zip(ratios, errors, result.verdicts, strict=True)):
            color, marker = VERDICTS[verdict]
            if drawn[row]:
                width = np.array([[min(error, 0.99 * ratio)], [error if np.isfinite(error) else 9.0 * ratio]])
                axes.plot([1.0, ratio], [row, row], color=color, linewidth=1.5, alpha=0.6)
                artists["points"][result.measures[row]] = axes.errorbar(
                    [ratio],
                    [row],
                    xerr=width,
                    fmt=marker,
                    color=color,
                    markersize=style.MARKER + 4,
                    capsize=6,
                )
            artists["words"].append(
                axes.text(
                    1.03,
                    row,
                    f"{verdict}{'' if verdict == 'survives' else f': × {short(float(ratio))}'}",
                    color=color,
                    weight="bold",
                    transform=axes.get_yaxis_transform(),
                    va="center",
                )
            )
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_yticks(range(len(ratios)), labels=[NAMES[name] for name in result.measures])
        axes.set_ylim(len(ratios) - 0.5, -0.5)
        shown = np.append(ratios[drawn], 1.0)
        axes.set_xlim(min(shown.min(), 0.5) / 2, max(shown.max(), 2.0) * 2)
        partial = "" if result.complete else " (partial)"
        label(
            axes,
            title=f"Same network, other weights: what survives?{partial}\n{result.transformation}",
            x="after / before (log scale)",
        )
        return Drawn(axes, artists)
