"""A consultation: the log of the run on the left, the answer that was asked for last on the right."""

from __future__ import annotations

import textwrap
from typing import Any

from matplotlib.axes import Axes

from diagkit.diagnosis import ORDERS, Answer, Consultation
from diagkit.measure import GradientNoise
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.history import draw_history
from diagkit.plots.style import label, short, styled

WIDTH = 40  # characters of a text that stands in place of a picture


@draw.register
def draw_consultation(result: Consultation, ax: Axes | None = None) -> Drawn:
    """The loss that was logged, and the loss of the best constant prediction where that was ordered."""
    with styled(ax) as axes:
        artists: dict[str, Any] = {}
        if result.curve is None:
            label(axes, title="What the log says", x="step")
            artists["nothing"] = _words(axes, "There is no log.")
            return Drawn(axes, artists)
        given = axes.get_title()
        titled = any(axes.get_title(loc=place) for place in ("left", "center", "right"))
        artists |= draw_history(result.curve.history, axes)
        axes.set_title(given if titled else "What the log says")
        axes.tick_params(labelsize=style.TEXT)
        if result.level is not None:
            colour, dash, _ = style.CURVES[3]
            artists["level"] = axes.axhline(
                result.level,
                color=colour,
                linestyle=dash,
                linewidth=style.LINE,
                label=f"constant prediction: {short(result.level)}",
            )
        low, high = axes.get_ylim()
        if axes.get_yscale() == "linear":
            axes.set_ylim(min(low, 0.0), high * 1.25)  # a place for the legend; a flat loss should look flat
        if axes.get_legend_handles_labels()[0]:
            artists["legend"] = axes.legend(loc="best")
    return Drawn(axes, artists)


def draw_words(title: str, text: str, ax: Axes | None = None) -> Drawn:
    """A text in place of a picture."""
    with styled(ax) as axes:
        label(axes, title=title)
        return Drawn(axes, {"words": _words(axes, text)})


def draw_answer(answer: Answer | None, ax: Axes | None = None, *, waiting: str = "") -> Drawn:
    """The picture of an answer, or its words where there is none.

    Parameters
    ----------
    answer : None where nothing was ordered yet. waiting : the order that is being measured.
    """
    if answer is not None and answer.result is not None:
        options = {"batch_size": answer.batch_size} if isinstance(answer.result, GradientNoise) else {}
        return draw(answer.result, ax, **options)
    if answer is not None:
        return draw_words(ORDERS[answer.order].question, answer.words, ax)
    if waiting:
        return draw_words(ORDERS[waiting].question, "measuring …", ax)
    return draw_words("No measurement yet", "Order one: its answer appears here.", ax)


def _words(ax: Axes, text: str) -> Any:
    ax.set_axis_off()
    shown = "\n".join(textwrap.wrap(text, WIDTH))
    return ax.text(
        0.5,
        0.55,
        shown,
        transform=ax.transAxes,
        ha="center",
        va="center",
        fontsize=style.TITLE,
        linespacing=1.6,
    )
