"""Curvatures on an axis: which are negative, which positive, and of which the sign is unknown."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from diagkit.measure.critical_points import CriticalPoint
from diagkit.measure.spectrum import Eigenpairs
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, note, short, styled

MOST_NUMBERS = 6  # eigenvalues that are also written out
SYMLOG_FROM = 30.0  # the larger end over the smaller one, above which a linear axis hides a sign
# Sign -> colour, marker, words. Three markers, so that the picture can be read in grey.
SIGNS = {
    -1: (style.VERMILLION, "v", "negative: downhill"),
    0: (style.GREY, "s", "sign unknown"),
    1: (style.BLUE, "^", "positive: uphill"),
}

MEANING = {
    "saddle": "downhill one way, uphill another",
    "maximum": "downhill every way that curves",
    "minimum-within-tolerance": "no way downhill was found",
    "degenerate": "curvature alone does not decide",
    "not-critical": "the gradient is not zero: a slope",
    "gradient-flat": "a slope without curvature along it",
    "undecided": "the measurement is not sure",
}


def signs(pairs: Eigenpairs) -> np.ndarray:
    """-1, 0 or 1 for each value [k]; 0 where the sign is not known.

    A Ritz value lies inside the spectrum: one below zero at the lower end proves that there is a curvature
    at least as negative, whatever its residual, and likewise at the upper end. Only the opposite claim, that
    an end does not cross zero, needs the residual.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> loss = lambda w, y: (w[0, 0] ** 2 - w[0, 1] ** 2) / 2 + 0 * y.sum()
    >>> obj = dk.Objective(torch.nn.Linear(1, 2, bias=False), loss, (torch.ones(1, 1), torch.ones(1)))
    >>> signs(dk.hessian_eigenvalues(obj, 2)).tolist()
    [1, -1]
    """
    outward = -1 if pairs.which == "smallest" else 1
    error = np.where(np.sign(pairs.values) == outward, 0.0, pairs.residuals)
    certain = np.abs(pairs.values) > np.maximum(error, pairs.rounding)
    return np.where(certain, np.sign(pairs.values), 0).astype(int)


@draw.register
def draw_eigenpairs(result: Eigenpairs, ax: Axes | None = None) -> Drawn:
    """The eigenvalues in their order, as stems from zero, with residuals as error bars.

    Inside the shaded band, which is as wide as rounding, no sign is claimed. Hollow markers did not
    converge.
    """
    rank = np.arange(1, len(result.values) + 1)
    with styled(ax) as axes:
        artists: dict[str, Any] = {"zero": axes.axhline(0.0, color="black", linewidth=style.THIN)}
        artists["rounding"] = axes.axhspan(
            -result.rounding, result.rounding, color=style.GREY, alpha=0.3, linewidth=0
        )
        kinds = signs(result)
        for sign, (color, marker, words) in SIGNS.items():
            chosen = kinds == sign
            if not chosen.any():
                continue
            axes.vlines(rank[chosen], 0.0, result.values[chosen], color=color, linewidth=style.LINE)
            artists[words.split(":")[0]] = axes.errorbar(
                rank[chosen],
                result.values[chosen],
                yerr=result.residuals[chosen],
                fmt=marker,
                color=color,
                capsize=6,
                markersize=style.MARKER + 2,
                label=words,
            )
        if len(rank) <= MOST_NUMBERS:
            for place, value in zip(rank, result.values, strict=True):
                above = value > 0
                text = axes.annotate(
                    short(float(value)),
                    (place, value),
                    xytext=(0, 12 if above else -12),
                    textcoords="offset points",
                )
                text.set(ha="center", va="bottom" if above else "top")
        open_ones = ~result.converged.astype(bool)
        if open_ones.any():
            artists["not_converged"] = axes.plot(
                rank[open_ones],
                result.values[open_ones],
                "o",
                markersize=4,
                color="white",
                markeredgecolor="white",
                zorder=4,
            )[0]
            axes.plot(
                [], [], "o", markerfacecolor="white", color=style.GREY, label="white dot: not converged"
            )
        if result.rounding > 0.01 * np.abs(result.values).max():
            artists["rounding"].set_label("within rounding of 0")
        axes.margins(y=0.2)
        axes.set_xlim(0.4, len(rank) + 0.6)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        many = len(rank) > 1
        title = f"The {len(rank)} {result.which} curvatures" if many else f"The {result.which} curvature"
        partial = "" if result.complete else " (partial)"
        label(
            axes, title=title + partial, x="rank (1: most extreme)", y="curvature (eigenvalue of the Hessian)"
        )
        artists["legend"] = legend_below(axes)
        return Drawn(axes, artists)


@draw.register
def draw_critical_point(result: CriticalPoint, ax: Axes | None = None) -> Drawn:
    """The curvatures at both ends on one axis, downhill on the left and uphill on the right of zero.

    The title is the verdict; the gradient norm, without which no verdict holds, is written below.
    """
    values = np.concatenate([result.smallest.values, result.largest.values])
    kinds = np.concatenate([signs(result.smallest), signs(result.largest)])
    rounding = max(result.smallest.rounding, result.largest.rounding)
    with styled(ax) as axes:
        artists: dict[str, Any] = {"zero": axes.axvline(0.0, color="black", linewidth=2.0)}
        artists["rounding"] = axes.axvspan(-rounding, rounding, color=style.GREY, alpha=0.35, linewidth=0)
        reach, symlog = _scale(axes, values, rounding)
        axes.axvspan(-reach, 0.0, color=style.VERMILLION, alpha=0.10, linewidth=0)
        axes.axvspan(0.0, reach, color=style.BLUE, alpha=0.10, linewidth=0)
        axes.set_xlim(-reach, reach)
        axes.set_ylim(0.0, 1.0)
        for value in (result.smallest.values[0], result.largest.values[0]):
            axes.plot([0.0, value], [0.5, 0.5], color=style.GREY, linewidth=style.LINE)
        for sign, (color, marker, words) in SIGNS.items():
            chosen = np.unique(values[kinds == sign])
            if chosen.size:
                artists[words.split(":")[0]] = axes.plot(
                    chosen,
                    np.full(chosen.size, 0.5),
                    marker,
                    color=color,
                    markersize=22,
                    markeredgecolor="white",
                )[0]
        artists["lowest"] = _end(axes, result.smallest, "lowest", 0.66)
        artists["highest"] = _end(axes, result.largest, "highest", 0.34)
        note(axes, 0.25, 0.93, "negative: downhill", color=style.VERMILLION, weight="bold")
        note(axes, 0.75, 0.93, "positive: uphill", color=style.BLUE, weight="bold")
        if np.isfinite(result.none_below) and result.verdict == "minimum-within-tolerance":
            artists["none_below"] = axes.axvline(
                result.none_below, ymin=0.2, ymax=0.6, color=style.BLACK, linestyle=":"
            )
            text = f"none below {short(result.none_below)} (99 %)"
            note(axes, 0.25, 0.82, text, fontsize=style.TEXT - 1)
        box = {"facecolor": "white", "edgecolor": style.GREY, "boxstyle": "round,pad=0.4"}
        artists["facts"] = note(axes, 0.5, 0.09, _facts(result), bbox=box, path_effects=[])
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        partial = "" if result.complete else " (partial)"
        scale = ", symmetric log scale" if symlog else ""
        title = f"Verdict: {result.verdict}{partial}\n{MEANING.get(result.verdict, '')}".rstrip()
        label(axes, title=title, x=f"curvature (eigenvalue of the Hessian{scale})")
        return Drawn(axes, artists)


def _scale(ax: Axes, values: np.ndarray, rounding: float) -> tuple[float, bool]:
    """Half the width of the axis, and whether it is logarithmic on both sides of zero."""
    sizes = np.abs(values[np.isfinite(values)])
    largest = float(max(sizes.max(initial=0.0), rounding)) or 1.0
    ends = sizes[sizes > rounding]
    if not ends.size or largest < SYMLOG_FROM * float(ends.min()):
        return 1.35 * largest, False
    threshold = 10.0 ** np.floor(np.log10(float(ends.min())))
    ax.set_xscale("symlog", linthresh=threshold)
    decades = int(np.ceil(np.log10(largest / threshold)))
    powers = threshold * 10.0 ** np.arange(0, decades + 1, max(1, decades // 2))
    ticks = [*(-powers[::-1]), 0.0, *powers]
    ax.set_xticks(ticks, labels=[short(x) for x in ticks])
    ax.set_xticks([], minor=True)
    return 12.0 * largest, True


def _end(ax: Axes, pairs: Eigenpairs, name: str, height: float) -> Any:
    value, residual = float(pairs.values[0]), float(pairs.residuals[0])
    bar = ax.errorbar([value], [0.5], xerr=[residual], fmt="none", ecolor="black", capsize=8)
    ax.annotate(
        f"{name}: {short(value)}" + ("" if pairs.converged[0] else "\nnot converged"),
        (value, 0.5),
        xytext=(value, height),
        ha="center",
        va="center",
        fontsize=style.TITLE,
        path_effects=style.outlined(),
    )
    return bar


def _facts(result: CriticalPoint) -> str:
    count = "" if result.index is None else f"   negative ones: {result.index} of {result.theta.size}"
    return f"gradient norm {short(result.gradient_norm)}   loss {short(result.loss, 4)}{count}"
