"""All arms at a glance: what the large batch changes, and what becomes of the claim."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from diagkit.experiments.batch_size.claims import LOG, Judged
from diagkit.experiments.batch_size.views import VerdictTable
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, short, styled

COLUMNS = (
    ("train_loss", "trained\nless far?"),
    ("lambda_max", "sharper?"),
    ("test", "generalizes\nworse?"),
)
ANSWERS = ("sharper and\nworse?", "also at the\nsame loss?")
FACES = {"reproduced": "#CFE3F1", "not reproduced": "#F7DFCF", "inconclusive": style.UNKNOWN_FACE}
WORDS = {"reproduced": "yes", "not reproduced": "no", "inconclusive": "not\ndecided"}
UNMEASURED = "—"


@draw.register
def draw_verdict_table(result: VerdictTable, ax: Axes | None = None) -> Drawn:
    """One row per arm: three questions with their effects, and the answer, in words and in colour."""
    small, large = result.batch_sizes
    arms = list(dict.fromkeys(j.arm for j in result.judged))
    answers = {one.arm: (one.verdict, one.at_same_loss) for one in result.answers}
    with styled(ax) as axes:
        artists: dict[str, Any] = {"cells": [], "faces": []}
        for row, arm in enumerate(arms):
            axes.text(
                -0.05, row, arm.replace(" rate", "\nrate").replace("same ", "same\n"), ha="right", va="center"
            )
            for column, (measure, _) in enumerate(COLUMNS):
                found = _find(result.judged, arm, measure)
                verdict = found.verdict.verdict if found else "inconclusive"
                text = f"{WORDS[verdict].replace(chr(10), ' ')}\n{_effect(found)}" if found else UNMEASURED
                _cell(axes, artists, row, column, text, verdict)
            for column, said in enumerate(answers.get(arm, ()), start=len(COLUMNS)):
                _cell(axes, artists, row, column, WORDS[said], said, weight="bold")
        names = [*(words for _, words in COLUMNS), *ANSWERS]
        axes.set_xlim(-0.02, len(names))
        axes.set_ylim(len(arms) - 0.5, -0.5)
        axes.set_xticks(np.arange(len(names)) + 0.5, names)
        axes.xaxis.tick_top()
        axes.xaxis.set_label_position("bottom")
        axes.set_yticks([])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        label(
            axes,
            title=f"B = {large} against B = {small}",
            x="at the end of the runs, except in the last column",
        )
        return Drawn(axes, artists)


def _find(judged: tuple[Judged, ...], arm: str, measure: str) -> Judged | None:
    names = ("test_accuracy", "test_loss") if measure == "test" else (measure,)
    rows = [j for j in judged if j.arm == arm and j.measure in names and j.verdict.expects != "no difference"]
    return rows[0] if rows else None


def _effect(found: Judged) -> str:
    value = found.verdict.value
    if not np.isfinite(value):
        return "no number"
    if found.verdict.unit == LOG:
        return f"× {short(float(np.exp(value)), 2)}"
    return f"{100 * value:+.1f} points".replace("-", "−")


def _cell(
    ax: Axes, artists: dict[str, Any], row: int, column: int, text: str, verdict: str, weight: str = "normal"
) -> None:
    face = Rectangle((column + 0.02, row - 0.46), 0.96, 0.92, facecolor=FACES[verdict], edgecolor="none")
    artists["faces"].append(ax.add_patch(face))
    artists["cells"].append(ax.text(column + 0.5, row, text, ha="center", va="center", weight=weight))
