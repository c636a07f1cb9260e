"""The pictures of a report: the place, the surface around it, the trial of the remedy."""

from __future__ import annotations

import io
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from diagkit.diagnosis import Report
from diagkit.errors import InputError
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.style import look, note, styled
from diagkit.result import Result


@draw.register
def draw_report(result: Report, ax: Axes | None = None) -> Drawn:
    """The surface around the point, with the way off a saddle; of a log alone, the curve."""
    if result.surface is None and result.curve is not None:
        return draw(result.curve, ax)
    with styled(ax) as axes:
        if not axes.get_title():
            axes.set_title("The loss around this point")
        if result.surface is None:
            axes.set_axis_off()
            return Drawn(axes, {"nothing": note(axes, 0.5, 0.5, "no surface was measured")})
        return draw(result.surface, axes, **surface_options(result))


def surface_options(report: Report) -> dict[str, Any]:
    """The escape goes on the surface where it matters: at a saddle that was found."""
    at_saddle = any(finding.cause == "saddle-point" for finding in report.supported)
    if report.escape is None or not report.escape.escaped or report.surface is None or not at_saddle:
        return {}
    return {"escape": report.escape}


def render_png(
    result: Result, *, size: tuple[float, float] = (7.0, 5.0), dpi: int = 80, **options: Any
) -> bytes:
    """A picture of the result as PNG, drawn on a figure of its own that no window or backend sees."""
    with look():
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot(projection="3d" if options.get("view") == "3d" else None)
        try:
            draw(result, axes, **options)
        except InputError as error:
            axes.set_axis_off()
            note(axes, 0.5, 0.5, str(error), wrap=True)
        buffer = io.BytesIO()
        # No metadata: the same result gives the same bytes.
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()
