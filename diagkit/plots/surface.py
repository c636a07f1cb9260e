"""The loss over a plane: from above, or as a surface that can be turned."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from matplotlib.axes import Axes

from diagkit.errors import InputError
from diagkit.measure.surface import PlaneSlice
from diagkit.plots.contours import draw_contours
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.surface_3d import draw_surface_3d

VIEWS: dict[str, Callable[..., Drawn]] = {"contours": draw_contours, "3d": draw_surface_3d}


@draw.register
def draw_plane(
    result: PlaneSlice, ax: Axes | None = None, *, view: str = "contours", **options: Any
) -> Drawn:
    """The loss over the plane (a, b), with a star where the model is and a diamond at other known points.

    Under the picture stands how many cells were computed and how far off the others may be. Colours and
    heights are logarithmic where the loss spans more than 30x (``result.scale``), and their label says so.
    Distances are those of parameter space where the directions are orthogonal; "not drawn to scale" is said
    where not. On the same ``ax``, after ``ax.clear()``, the stages of ``refine_loss_plane`` can be drawn one
    after the other: nothing else moves.

    Parameters
    ----------
    view : "contours", or "3d", a surface that can be turned; the latter on axes made with
        ``projection="3d"``, or on new ones.
    path : [n, 2], points (a, b) on the way of an optimizer, or a dict of several, by name. Each has its own
        colour, dashes and mark at the start. In 3-D it lies on the surface, which is the loss of the plane
        and not that of the points beside it.
    path_label : the name of a single path.
    levels : about so many bands of colour.
    escape : of contours: an arrow from the star; its direction has to lie in the plane.
    cells : of contours: dots where a cell was computed; the others are interpolated.
    colorbar : of contours: False leaves it out.
    scale : of contours: a ``Scale`` that several pictures share, so that one colour means one loss.

    The dashed contour joins the places with the loss of the star: on its one side the loss is lower. Cells
    without a finite loss are hatched; the surface has holes there. Between two points the straight way is
    drawn with its barrier.

    Raises
    ------
    InputError : another view, a path of another shape or not finite, an escape that leaves the plane, levels
        below 2, flat axes for "3d".
    """
    if view not in VIEWS:
        raise InputError(f"view={view!r}", allowed=" or ".join(map(repr, VIEWS)), write="view='3d'")
    return VIEWS[view](result, ax, **options)
