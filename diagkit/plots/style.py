"""One look for every picture: readable at the back of a classroom, in grey and with colour blindness."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.legend import Legend
from matplotlib.patheffects import withStroke
from matplotlib.transforms import ScaledTranslation

from diagkit.errors import InputError

# Okabe and Ito 2008, distinguishable with every kind of colour blindness.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY = "#6B6B6B"
# Colour is never the only cue: the n-th curve has the n-th colour, dash pattern and marker.
CURVES = (
    (BLUE, "-", "o"),
    (VERMILLION, "--", "s"),
    (GREEN, "-.", "^"),
    (BLACK, ":", "D"),
    (PURPLE, "-", "v"),
)
SURFACE = "cividis"  # even in lightness, so it survives a grey printer
LONGEST_NAME = 22  # letters of a name beside an axis
TEXT, TITLE = 13, 15  # points, at a figure of 7 x 5 inches
THIN, LINE = 1.0, 2.5
MARKER = 9.0
BELOW = 46  # points under the axes that ticks and the name of the axis take
HATCH = "///"  # no number here
UNKNOWN_FACE = "#E4E4E4"

LOOK: dict[str, Any] = {
    "figure.figsize": (7.0, 5.0),
    "font.size": TEXT,
    "axes.titlesize": TITLE,
    "axes.labelsize": TEXT + 1,
    "xtick.labelsize": TEXT,
    "ytick.labelsize": TEXT,
    "legend.fontsize": TEXT - 1,
    "legend.framealpha": 0.9,
    "lines.linewidth": LINE,
    "lines.markersize": MARKER,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "hatch.linewidth": 1.0,
    "text.usetex": False,
}


@contextmanager
def look() -> Iterator[None]:
    """Our settings for a while. The others are not touched, as ``rc_context`` would.

    A notebook's backend is loaded when the first figure is made and turns interactive display on; putting
    *that* back at the end would leave all later figures unseen.
    """
    settings: Any = mpl.rcParams  # typed by name, which a dict of our own cannot follow
    before = {name: settings[name] for name in LOOK}
    settings.update(LOOK)
    try:
        yield
    finally:
        settings.update(before)


@contextmanager
def styled(ax: Axes | None, projection: str | None = None) -> Iterator[Axes]:
    """The axes to draw on, new ones if None, while our look is in force; the user's rcParams come back.

    A figure made here is closed again if drawing fails. ``projection`` is that of new axes.

    Raises
    ------
    InputError : ``ax`` is something else than axes.
    """
    if ax is not None and not isinstance(ax, Axes):
        raise InputError(
            f"ax of type {type(ax).__name__}", allowed="one matplotlib Axes, or None", write="fig.subplots()"
        )
    with look():
        if ax is not None:
            yield ax
            return
        figure, new = plt.subplots(layout="constrained", subplot_kw={"projection": projection})
        try:
            yield new
        except BaseException:
            plt.close(figure)
            raise


def label(ax: Axes, *, title: str = "", x: str = "", y: str = "") -> None:
    """Set title and axis labels where there are none yet: what the caller wrote stays."""
    if title and not any(ax.get_title(loc=side) for side in ("left", "center", "right")):
        ax.set_title(title)
    if x and not ax.get_xlabel():
        ax.set_xlabel(x, fontsize=LOOK["axes.labelsize"])
    if y and not ax.get_ylabel():
        ax.set_ylabel(y, fontsize=LOOK["axes.labelsize"])


def outlined(color: str = "white", width: float = 3.0) -> list[Any]:
    """Path effects that keep a line or a text readable on any background."""
    return [withStroke(linewidth=width, foreground=color)]


def note(ax: Axes, x: float, y: float, text: str, **options: Any) -> Any:
    """A text at a place given in fractions of the axes, readable on any background."""
    look: dict[str, Any] = {"transform": ax.transAxes, "ha": "center", "va": "center"}
    look |= {"path_effects": outlined()} | options
    return ax.text(x, y, text, **look)


def legend_below(ax: Axes, handles: list[Any] | None = None, ncols: int = 2, tick_lines: int = 1) -> Legend:
    """The legend under the name of the x-axis, where it hides nothing, whatever the size of the axes.

    ``tick_lines`` : lines of text that the names of the ticks take.
    """
    depth = BELOW + 1.2 * TEXT * (tick_lines - 1)
    below = ax.transAxes + ScaledTranslation(0.0, -depth / 72, ax.figure.dpi_scale_trans)
    handles = ax.get_legend_handles_labels()[0] if handles is None else handles
    return ax.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        bbox_transform=below,
        borderaxespad=0.0,
        ncols=ncols,
        frameon=False,
    )


def short(value: float, digits: int = 3) -> str:
    """A few digits and a true minus sign.

    Example
    -------
    >>> short(-0.22994), short(1.0e-9), short(2.3026, 4)
    ('−0.23', '1e−09', '2.303')
    """
    return f"{value:.{digits}g}".replace("-", "−")


def given_name(name: str, longest: int = LONGEST_NAME) -> str:
    """What a user called something: both ends of a long name, nothing in it a formula or a control character.

    Example
    -------
    >>> given_name("model.layers.11.self_attn.q_proj.base"), given_name("cost in $")
    ('model.laye…q_proj.base', 'cost in \\\\$')
    """
    printable = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    half = longest // 2
    shown = printable if len(name) <= longest else f"{printable[: half - 1]}…{printable[-half:]}"
    return shown.replace("$", r"\$")


def tick_names(values: np.ndarray) -> list[str]:
    """As few digits as tell the values apart.

    Example
    -------
    >>> tick_names(np.array([2.30001, 2.30002])), tick_names(np.array([1.0, 20.0]))
    (['2.30001', '2.30002'], ['1', '20'])
    """
    for digits in range(3, 12):
        names = [short(float(value), digits) for value in values]
        if len(set(names)) == len(names):
            break
    return names


def spans(values: np.ndarray, factor: float) -> bool:
    """Do the positive ones of ``values``, none of them negative, span more than ``factor``?

    Example
    -------
    >>> spans(np.array([0.0, 1.0, 31.0]), 30), spans(np.array([-1.0, 1.0, 31.0]), 30)
    (True, False)
    """
    finite = values[np.isfinite(values)]
    if not finite.size or finite.min() < 0 or finite.max() <= 0:
        return False
    return bool(finite.max() / factor > finite[finite > 0].min())
