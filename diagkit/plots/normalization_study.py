"""Is the surface rounder? Each measure under each kind of normalization, as a factor of the plain network."""

from __future__ import annotations

from typing import Any, cast

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from diagkit.experiments.normalization import NormalizationStudy
from diagkit.experiments.normalization.claims import ROUNDER, rounder
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, legend_below, styled

# Verdict -> face, hatching, sign, words: three ways to tell them apart.
LOOKS = {
    "reproduced": (style.SKY, "", "✓", "rounder (✓)"),
    "not reproduced": (style.ORANGE, "", "✗", "not rounder (✗)"),
    "inconclusive": (style.UNKNOWN_FACE, style.HATCH, "?", "inconclusive (?)"),
}
LARGEST = r"$\lambda_{max}$"


@draw.register
def draw_normalization_study(result: NormalizationStudy, ax: Axes | None = None) -> Drawn:
    """A table of verdicts: a row for each measure, a column for each kind, the factor to "none" in the cell.

    The arrow at a measure points to where it is rounder: down for all but the largest stable rate.
    """
    kinds = [n for n in result.normalizations if n.kind != "none"]
    measures = list(ROUNDER)
    with styled(ax) as axes:
        if ax is None:
            cast(Figure, axes.figure).set_size_inches(max(7.0, 3.6 + 1.2 * len(kinds)), 7.6)
        artists: dict[str, Any] = {}
        for row, measure in enumerate(measures):
            for column, kind in enumerate(kinds):
                verdict = rounder(result.sweep, kind, measure)
                face, hatch, sign, _ = LOOKS[verdict.verdict]
                axes.add_patch(
                    Rectangle(
                        (column, row), 1, 1, facecolor=face, hatch=hatch, edgecolor="white", linewidth=2
                    )
                )
                factor = f"×{float(f'{10**verdict.value:.2g}'):g}" if np.isfinite(verdict.value) else "-"
                artists[f"{measure}, {kind}"] = axes.text(
                    column + 0.5, row + 0.5, f"{factor} {sign}", ha="center", va="center",
                    path_effects=style.outlined(face if not hatch else "white"),
                )  # fmt: skip
        axes.set_xlim(0, len(kinds))
        axes.set_ylim(len(measures), 0)
        axes.set_xticks(np.arange(len(kinds)) + 0.5, [_folded(str(kind)) for kind in kinds])
        axes.set_yticks(np.arange(len(measures)) + 0.5, [_row(measure) for measure in measures])
        axes.tick_params(length=0)
        plt.setp(axes.spines.values(), visible=False)
        partial = "" if result.complete else " (partial)"
        label(
            axes,
            title=f"Is the surface rounder with normalization?{partial}",
            x=f"kind of normalization: × without any; {len(result.sweep.grid.seeds)} seeds; arrows: rounder",
        )
        handles = [Patch(facecolor=f, hatch=h, edgecolor="white", label=w) for f, h, _, w in LOOKS.values()]
        artists["legend"] = legend_below(axes, handles, ncols=3, tick_lines=2)
        return Drawn(axes, artists)


def _row(measure: str) -> str:
    words, expects = ROUNDER[measure]
    short_words = words.replace("change of the gradient along a step", "gradient change")
    arrow = "↓" if expects == "decrease" else "↑"  # which way is rounder
    return f"{short_words.replace('λ_max', LARGEST)} {arrow}"


def _folded(text: str) -> str:
    return text.replace(", ", ",\n").replace("after the activation", "after act.")


def _two_digits(value: float) -> str:
    """As few characters as hold them.

    Example
    -------
    >>> _two_digits(99.6), _two_digits(0.553)
    ('100', '0.55')
    """
    return f"{float(f'{value:.2g}'):g}"
