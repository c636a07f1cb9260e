"""The noise scale on an axis of batch sizes: left of it noise rules, right of it the gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from diagkit.errors import InputError
from diagkit.measure.gradient_noise import GradientNoise
from diagkit.plots import style
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import label, note, short, styled

UNRESOLVED = (1.0, 1e5)  # batch sizes shown where nothing finite sets the range
MIDDLE = 0.5


@draw.register
def draw_gradient_noise(
    result: GradientNoise, ax: Axes | None = None, *, batch_size: int | None = None
) -> Drawn:
    """The noise scale with its 95 % interval; an arrow where the interval has no end.

    Where the gradient is not resolved there is no point: the axis is hatched, from the lower bound on where
    there is one.

    Parameters
    ----------
    batch_size : marks the batch size in use.

    Raises
    ------
    InputError : a batch size below 1.
    """
    if batch_size is not None and not (np.isfinite(batch_size) and batch_size >= 1):
        raise InputError(f"batch_size = {batch_size!r}", allowed="an integer of 1 or more, or None")
    low, high = result.interval
    left, right = _range([result.noise_scale, low, high, batch_size or np.nan])
    with styled(ax) as axes:
        axes.set_xscale("log")
        axes.set_xlim(left, right)
        axes.set_ylim(0.0, 1.0)
        artists = (_point if result.resolved else _unresolved)(axes, result, left, right)
        if batch_size is not None:
            artists["batch_size"] = axes.axvline(
                batch_size,
                color=style.BLACK,
                ymax=0.48,
                linestyle="--",
                label=f"your batch size: {batch_size}",
            )
            artists["legend"] = axes.legend(loc="lower right")
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
        number = f"{examples(result.noise_scale)} examples" if result.resolved else "not resolved"
        label(axes, title=f"Gradient noise scale: {number}", x="batch size (examples, log scale)")
        return Drawn(axes, artists)


def _range(numbers: list[float]) -> tuple[float, float]:
    """Whole decades around what is finite and positive."""
    shown = np.array([x for x in numbers if np.isfinite(x) and x > 0])
    if not shown.size:
        return UNRESOLVED
    return 10.0 ** np.floor(np.log10(shown.min() / 3)), 10.0 ** np.ceil(np.log10(shown.max() * 3))


def _point(ax: Axes, result: GradientNoise, left: float, right: float) -> dict[str, Any]:
    low, high = (float(np.clip(x, left, right)) for x in result.interval)
    centre = float(np.clip(result.noise_scale, left, right))
    ax.axvspan(left, centre, color=style.VERMILLION, alpha=0.12, linewidth=0)
    ax.axvspan(centre, right, color=style.BLUE, alpha=0.12, linewidth=0)
    width = np.log(right / left)
    where = np.log(centre / left) / width
    artists: dict[str, Any] = {
        "interval": ax.plot(
            [low, high], [MIDDLE, MIDDLE], "-|", color="black", markersize=20, markeredgewidth=2.5
        )[0],
        "point": ax.plot([centre], [MIDDLE], "o", color=style.BLACK, markersize=14, markeredgecolor="white")[
            0
        ],
        "noise_rules": note(ax, where / 2, 0.85, "smaller batches:\nnoise rules,\nlarger helps"),
        "gradient_rules": note(ax, (1 + where) / 2, 0.85, "larger batches:\ngradient rules,\nlittle to gain"),
    }
    if not np.isfinite(result.interval[1]):
        artists["open_end"] = ax.plot([right], [MIDDLE], ">", color="black", markersize=14, clip_on=False)[0]
    ends = f"95 % interval: {examples(result.interval[0])} to {_upper(result.interval[1])}"
    artists["text"] = ax.text(
        centre, MIDDLE - 0.14, ends, ha="center", va="center", path_effects=style.outlined()
    )
    return artists


def _unresolved(ax: Axes, result: GradientNoise, left: float, right: float) -> dict[str, Any]:
    bounded = bool(np.isfinite(result.interval[0]) and result.interval[0] > 0)
    start = result.interval[0] if bounded else left
    ax.axvspan(left, start, color=style.VERMILLION, alpha=0.12, linewidth=0)
    artists: dict[str, Any] = {
        "unknown": ax.axvspan(
            start, right, facecolor=style.UNKNOWN_FACE, edgecolor=style.GREY, hatch=style.HATCH, linewidth=0
        )
    }
    if bounded:
        artists["open_end"] = ax.plot(
            [start, right],
            [0.3, 0.3],
            "-",
            marker=">",
            markevery=[1],
            color="black",
            markersize=14,
            clip_on=False,
        )[0]
    lower = f"\nnoise scale above {examples(start)} (95 % interval)" if bounded else ""
    facts = f"|G|² = {short(result.gradient_sq_norm)} ± {short(result.gradient_sq_norm_sem)}"
    text = f"not resolved: the gradient is not\nbeyond the noise of this sample\n{facts}{lower}"
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 1.0}
    artists["text"] = note(ax, 0.5, 0.65, text, bbox=box, path_effects=[])
    return artists


def _upper(value: float) -> str:
    return examples(value) if np.isfinite(value) else "no upper end"


def examples(value: float) -> str:
    """Three digits, in full.

    Example
    -------
    >>> examples(2660.2), examples(8.916)
    ('2,660', '8.92')
    """
    return f"{float(f'{value:.3g}'):,.12g}"
