"""The arms of a comparison of batch sizes as rows: names, effects, and what becomes of the claim in each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from diagkit.experiments.batch_size.study import BatchSizeStudy
from diagkit.plots import style
from diagkit.plots.batch_size import ARM_STYLES, LOOKS, draw_arm_effects
from diagkit.plots.drawing import Drawn
from diagkit.plots.style import label, note, styled
from diagkit.plots.verdict_table import FACES, WORDS

ROW = 0.42  # half the height of a cell
COLUMNS = ("at the\nend", "same\nloss")
TITLES = {
    "lambda_max": (r"sharpness $\lambda_{max}$", "ratio to B = {small}"),
    "test_accuracy": ("test accuracy", "change, points"),
    "test_loss": ("test loss", "ratio to B = {small}"),
}


def draw_arm_names(arms: Sequence[str], ax: Axes | None = None) -> Drawn:
    """A row per arm from the top: a piece of its curve and its name. The legend of the pictures beside it."""
    with styled(ax) as axes:
        artists: dict[str, Any] = {"lines": [], "names": []}
        for row, arm in enumerate(reversed(arms)):
            color, dashes, marker = ARM_STYLES[arm]
            look: dict[str, Any] = {"color": color, "linestyle": dashes, "marker": marker}
            line = Line2D([0.0, 0.26], [row, row], markevery=[-1], **look)
            artists["lines"].append(axes.add_line(line))
            artists["names"].append(axes.text(0.34, row, arm.replace(" rate", "\nrate"), va="center"))
        _rows(axes, len(arms))
        axes.set_xlim(0, 1)
        axes.set_xticks([])
        axes.spines[:].set_visible(False)
        label(axes, title="arm")
        return Drawn(axes, artists)


def draw_arm_answers(result: BatchSizeStudy, ax: Axes | None = None) -> Drawn:
    """Sharper *and* worse? A row per arm, in words and in colour; one without an answer has empty cells.

    An arm in which a run diverged is called so: whatever is measured there, no minimum was found.
    """
    arms = result.arms
    said: dict[str, tuple[str, ...]] = {one.arm: (one.verdict, one.at_same_loss) for one in result.answers}
    said |= dict.fromkeys(result.diverging, ("diverged",))
    with styled(ax) as axes:
        artists: dict[str, Any] = {"cells": []}
        for row, arm in enumerate(reversed(arms)):
            cells = said.get(arm, ("", ""))
            width = len(COLUMNS) / len(cells)
            for column, verdict in enumerate(cells):
                face = FACES.get(verdict, style.UNKNOWN_FACE if verdict else "none")
                at = (column * width + 0.03, row - ROW)
                axes.add_patch(Rectangle(at, width - 0.06, 2 * ROW, facecolor=face, edgecolor="none"))
                firm = verdict and verdict != "inconclusive"
                look: dict[str, Any] = {"weight": "bold"} if firm else {"fontsize": style.TEXT - 3}
                words = WORDS.get(verdict, verdict or "…")
                artists["cells"].append(
                    axes.text((column + 0.5) * width, row, words, ha="center", va="center", **look)
                )
        _rows(axes, len(arms))
        axes.set_xlim(0, len(COLUMNS))
        axes.set_xticks(np.arange(len(COLUMNS)) + 0.5, COLUMNS)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        label(axes, title="sharper\nand worse?")
        return Drawn(axes, artists)


def draw_effects_so_far(result: BatchSizeStudy, measure: str, ax: Axes | None = None) -> Drawn:
    """The effects on ``measure`` by arm, without names and legend, or a word where there are none yet.

    An interval takes two seeds. See :func:`draw_arm_names` and :func:`legend_of_effects`.
    """
    there = any(j.measure == measure and np.isfinite(j.verdict.value) for j in result.judged)
    with styled(ax) as axes:
        title, x = TITLES[measure]
        label(axes, title=title, x=x.format(small=result.batch_sizes[0]) if there else "")
        artists: dict[str, Any] = {}
        if there:
            artists = dict(draw_arm_effects(result.effects(measure), axes).artists)
            artists.pop("legend").remove()
        else:
            axes.set_xticks([])
            artists["note"] = note(axes, 0.5, 0.5, _why_none(result, measure), color=style.GREY)
        _rows(axes, len(result.arms))
        axes.spines["left"].set_visible(False)
        return Drawn(axes, artists)


def _why_none(result: BatchSizeStudy, measure: str) -> str:
    untested = measure.startswith("test") and len(result.frame) and result.frame["test_loss"].isna().all()
    if untested:
        return "no test data"
    return "not measured\nyet" if result.complete else "stopped early"


def legend_of_effects() -> list[Any]:
    """Handles that name the marks of :func:`draw_effects_so_far`."""
    marks = [Line2D([], [], color=color, marker=marker, label=name) for marker, color, name in LOOKS.values()]
    return [*marks, Line2D([], [], color=style.UNKNOWN_FACE, linewidth=10, label="too small to matter")]


def _rows(ax: Axes, count: int) -> None:
    ax.set_yticks([])
    ax.set_ylim(-0.6, count - 0.4)
