"""One entrance to all pictures: ``draw`` looks up how a result is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from diagkit.errors import InputError


@dataclass(frozen=True, repr=False)
class Drawn:
    """What a picture consists of, so that it can be changed afterwards.

    Attributes
    ----------
    ax : the axes. artists : matplotlib artists by what they show, e.g. ``artists["here"]``.
    """

    ax: Axes
    artists: dict[str, Any]

    @property
    def figure(self) -> Figure | SubFigure:
        """The figure that holds the axes."""
        return self.ax.figure

    def __repr__(self) -> str:
        return f"Drawn({', '.join(self.artists)})"


@singledispatch
def draw(result: Any, ax: Axes | None = None, **options: Any) -> Drawn:
    """Draw a result on ``ax``, or on new axes if None, and return what was drawn.

    Labels and a title that are already on ``ax`` stay; matplotlib's settings are left alone. The options
    belong to the kind of result: ``help(diagkit.plots.draw_plane)`` and so on.

    A further kind of result is registered where its drawing is defined, by the type of its first argument:

        @draw.register
        def draw_sharpness(result: Sharpness, ax: Axes | None = None) -> Drawn:
            with styled(ax) as ax: ...

    Raises
    ------
    InputError : nothing is known about drawing this type; the text lists what can be drawn.
    """
    known = sorted(kind.__name__ for kind in draw.registry if kind is not object)
    raise InputError(
        f"a {type(result).__name__}, which has no picture",
        allowed=f"one of {', '.join(known)}",
        write="result.to_frame() for a table, where the result has one",
    )
