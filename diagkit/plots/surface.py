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

    Under the picture stands how many cells were computed and how far off the others may be. Colours and heights
    are logarithmic where the loss spans more than 30x (``result.scale``), and the label says so. The
    picture has the shape of the plane, distances as in parameter space, where its directions are orthogonal;
    where it has not, that is said. Drawn again on the same ``ax`` after ``ax.clear()``, for the stages of
    ``refine_loss_plane``, everything else stays in its place.

    Parameters
    ----------
    view : "contours" or "3d". The latter needs axes with ``projection="3d"``, or none.
    path : [n, 2], coordinates (a, b) of points on the way of an optimizer, or a dict of several, by name; each with
        a colour, dashes and a mark at its start of its own, and arrows. In 3-D it is lifted onto the surface: what
        it shows is the loss of the plane.
    path_label : the name of a single path.
    levels : about so many bands of colour.

    With "contours": the dashed line joins the places with the loss of the star: on its one side the loss is lower.
    Cells without a finite loss are hatched. Between two points the straight way is drawn, with its barrier.

    escape : drawn as an arrow from the star; its direction has to lie in the plane.
    cells : show with dots which cells were computed; the others are interpolated.
    colorbar : False leaves it out.

    With "3d": heights and colours both mean the loss, the floor shows its height lines. Cells without a finite
    loss are left out.

    Raises
    ------
    InputError : another view, a path of another shape or not finite, an escape that leaves the plane, levels
        below 2, flat axes for "3d".
    """
    if view not in VIEWS:
        raise InputError(f"view={view!r}", allowed=" or ".join(map(repr, VIEWS)), write="view='3d'")
    return VIEWS[view](result, ax, **options)
