"""One table under one scaling: spread of its columns, valley of two weights, loss curves."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from diagkit.experiments.scaled_inputs import PLAIN, ScaledInputs
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, note, short, styled

ROWS = 5  # columns of the table that fit
MOST_LETTERS = 9
REACH = 1.3  # of the valley: the path begins at (1, 1)
LEVELS = np.array([0.0, 0.02, 0.07, 0.15, 0.28, 0.45, 0.68, 1.0])  # of the highest loss shown
SIDES = ("before", "after")
COLORS = {"before": style.VERMILLION, "after": style.BLUE}
RULES = {"fixed": "η = {lr:g}", "1/lambda_max": r"η = 1/$\lambda_{{max}}$", "Adam": "Adam, η = {adam_lr:g}"}
HIGH = 30.0  # first losses: above, a curve has left the picture


def draw_columns(result: ScaledInputs, ax: Axes | None = None, *, side: str = "after") -> Drawn:
    """Spread of up to five columns "before" or "after": 5 to 95 % (line), middle half (bar), median (dot)."""
    scaling = result.scaling
    quantiles = scaling.quantiles_before if side == "before" else scaling.quantiles_after
    condition = scaling.condition_before if side == "before" else scaling.condition_after
    order = np.argsort(-(scaling.quantiles_before[-1] - scaling.quantiles_before[0]), kind="stable")
    few = order if len(order) <= ROWS else np.r_[order[: ROWS - 2], order[-2:]]  # widest and narrowest
    chosen = np.sort(np.unique(np.r_[few, result.pair])[: ROWS + 2])
    with styled(ax) as axes:
        rows = np.arange(len(chosen))
        lowest, lower, median, upper, highest = quantiles[:, chosen]
        axes.axvline(0.0, color=style.GREY, linewidth=style.THIN)
        artists: dict[str, Any] = {
            "range": axes.hlines(rows, lowest, highest, color=COLORS[side], linewidth=2),
            "half": axes.barh(
                rows, upper - lower, left=lower, height=0.55, color=COLORS[side], alpha=0.5, linewidth=0
            ),
            "median": axes.plot(median, rows, "o", color=style.BLACK, markersize=5)[0],
        }
        axes.use_sticky_edges = False  # or a bar at 0 would lie on the edge
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_yticks(rows, [_short_name(result.names[i]) for i in chosen])
        axes.xaxis.set_major_locator(MaxNLocator(3))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}".replace("-", "−")))
        kind = "raw" if side == "before" else f"“{result.task.kind}”"
        label(axes, title=f"{kind}: κ = {rough(condition)}", x="value of the column")
        return Drawn(axes, artists)


def draw_pair_valley(result: ScaledInputs, ax: Axes | None = None, *, side: str = "after") -> Drawn:
    """The loss over the errors of two weights, of the widest and the narrowest column, and a descent."""
    valley = result.before if side == "before" else result.after
    with styled(ax) as axes:
        axis = np.linspace(-REACH, REACH, 81)
        e = np.stack(np.meshgrid(axis, axis, indexing="ij"))
        loss = 0.5 * np.einsum("iab,ij,jab->ab", e, valley.H, e)
        levels = LEVELS * float(loss.max())
        artists: dict[str, Any] = {
            "surface": axes.contourf(axis, axis, loss.T, levels=levels, cmap=style.SURFACE),
            "path": axes.plot(
                *valley.path.T, "-o", color="white", markersize=5, linewidth=2.0, markeredgecolor="black",
                markeredgewidth=0.8,
            )[0],
            "start": axes.plot(1.0, 1.0, "s", color="white", markeredgecolor="black", markersize=9)[0],
            "lowest": axes.plot(0.0, 0.0, "*", color=style.ORANGE, markeredgecolor="black", markersize=17)[0],
        }  # fmt: skip
        axes.set_xlim(-REACH, REACH)
        axes.set_ylim(-REACH, REACH)
        axes.set_xticks([-1, 0, 1])
        axes.set_yticks([-1, 0, 1])
        axes.set_aspect("equal")
        first, second = (_short_name(result.names[i]) for i in result.pair)
        label(
            axes,
            title=f"two weights: κ = {rough(valley.condition)}",
            x=f"error of w({first})",
            y=f"error of w({second})",
        )
        return Drawn(axes, artists)


@draw.register
def draw_scaled_inputs(result: ScaledInputs, ax: Axes | None = None) -> Drawn:
    """Training loss over the steps, with this scaling and without any, down to the loss asked for."""
    task = result.task
    with styled(ax) as axes:
        artists: dict[str, Any] = {}
        first = max([float(result.losses(kind)[0]) for kind in result.runs] or [1.0])
        looks = {PLAIN: style.CURVES[1], task.kind: style.CURVES[0]}
        if task.kind == PLAIN:
            looks = {PLAIN: style.CURVES[1]}
        for kind, (color, dashes, marker) in looks.items():
            name = "raw" if kind == PLAIN else f"“{kind}”"
            losses = result.losses(kind) if kind in result.runs else np.array([])
            inside = np.isfinite(losses) & (losses <= HIGH * first) & (losses > 0)
            shown = losses[: int(np.argmin(inside))] if losses.size and not inside.all() else losses
            ending = _ending(result, kind) if kind in result.runs else ""
            artists[kind] = axes.plot(
                shown,
                dashes,
                color=color,
                marker=marker,
                markevery=max(1, len(shown) // 8),
                label=name + ending,
            )[0]
            if len(shown) < len(losses):
                artists[f"{kind} out"] = axes.plot(len(shown) - 0.5, HIGH * first, "^", color=color)[0]
        artists["target"] = axes.axhline(task.target, color=style.BLACK, linewidth=2.0, linestyle=":")
        if result.runs:
            axes.set_yscale("log")
            axes.set_ylim(0.6 * task.target, max(2 * task.target, axes.get_ylim()[1]))
        else:  # a target alone has no extent
            axes.set_ylim(0.6 * task.target, 20 * task.target)
            axes.set_yscale("log")
        axes.set_xlim(-0.02 * task.max_steps, task.max_steps)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
        axes.minorticks_off()
        if not result.runs:
            note(axes, 0.5, 0.5, "training …")
        artists["legend"] = axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False)
        label(
            axes, title=RULES[task.rule].format(lr=task.lr, adam_lr=task.adam_lr), x="step", y="training loss"
        )
        return Drawn(axes, artists)


def rough(value: float) -> str:
    """Two digits, or a power of ten.

    Example
    -------
    >>> rough(46.3), rough(8.06e7), rough(9.98e4), rough(float("inf"))
    ('46', '8·10⁷', '1·10⁵', '∞')
    """
    if not np.isfinite(value):
        return "∞" if np.isinf(value) else "-"
    if value < 1e4:
        return short(float(f"{value:.2g}"), 4)
    digit, power = f"{value:.0e}".split("e+")
    return f"{digit}·10{str(int(power)).translate(str.maketrans('0123456789', '⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def _ending(result: ScaledInputs, kind: str) -> str:
    steps = result.steps(kind)
    if steps is not None:
        return f": {steps} step{'' if steps == 1 else 's'}"
    return ": diverges" if result.diverges(kind) else ": not reached"


def _short_name(name: str) -> str:
    return name if len(name) <= MOST_LETTERS else name[: MOST_LETTERS - 1] + "…"
