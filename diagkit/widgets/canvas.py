"""A figure on the screen: alive where ipympl works, a picture where it does not."""

from __future__ import annotations

import base64
import html
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, Literal

import ipywidgets as widgets
import matplotlib
from matplotlib.axes import Axes
from matplotlib.backend_bases import MouseButton, MouseEvent
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from diagkit.plots.style import look
from diagkit.widgets.screen import Screen

STATIC = "This figure is a picture: for one that takes clicks, install ipympl and reload the page."
NO_IPYMPL = "In Colab figures are pictures, since ipympl does not work there: use the number boxes."

OnClick = Callable[[Axes, float, float], None]


def why_static() -> str:
    """Why a figure cannot be alive here, "" where it can."""
    if "google.colab" in sys.modules:
        return NO_IPYMPL
    return "" if importlib.util.find_spec("ipympl") else STATIC


class Canvas:
    """One figure, drawn only on the main thread.

    Parameters
    ----------
    screen : the one of the panel. size : inches at 100 pixels each. alt : what the picture shows, in words.
    layout : matplotlib's engine that finds the places of axes; it takes a third of the time of a picture, so
        panels that react at once place their axes themselves.

    Attributes
    ----------
    widget : what is displayed. figure : matplotlib's, unknown to pyplot. is_live : it takes clicks.
    """

    def __init__(
        self,
        screen: Screen,
        *,
        size: tuple[float, float] = (9.0, 4.2),
        alt: str = "",
        layout: Literal["constrained"] | None = None,
    ) -> None:
        self.screen, self.alt = screen, alt
        self.figure = Figure(figsize=size, dpi=100, layout=layout)
        reason = why_static()
        self.is_live = not reason
        if self.is_live:
            self.widget = _live(self.figure)
        else:
            FigureCanvasAgg(self.figure)
            self._picture = widgets.HTML()  # widgets.Image has no text for those who do not see it
            self.widget = widgets.VBox([self._picture, widgets.Label(reason)])

    @contextmanager
    def redrawn(self) -> Iterator[Figure]:
        """The figure, empty, while our look is in force; shown afterwards."""
        with look():
            self.figure.clear()
            yield self.figure
        self.refresh()

    def refresh(self) -> None:
        """Show what was changed."""
        if self.is_live:
            self.figure.canvas.draw_idle()
        else:
            data = base64.b64encode(self.png()).decode()
            self._picture.value = f'<img alt="{html.escape(self.alt)}" src="data:image/png;base64,{data}">'

    def png(self) -> bytes:
        """The figure as it is."""
        with look(), BytesIO() as stream:
            self.figure.savefig(stream, format="png", dpi=100)
            return stream.getvalue()

    def on_click(self, callback: OnClick) -> None:
        """Call with axes, x and y when the left button is pressed inside axes and no tool is active."""

        def pressed(event: Any) -> None:
            toolbar = getattr(self.figure.canvas, "toolbar", None)
            if (
                event.inaxes is not None
                and event.button == MouseButton.LEFT
                and not getattr(toolbar, "mode", "")
            ):
                callback(event.inaxes, float(event.xdata), float(event.ydata))

        self.figure.canvas.mpl_connect("button_press_event", self.screen.on_main(pressed))

    def click(self, ax: Axes, x: float, y: float) -> None:
        """What a mouse does, without one."""
        self.figure.canvas.draw()  # the layout decides where the axes are
        right, up = ax.transData.transform((x, y))
        event = MouseEvent("button_press_event", self.figure.canvas, right, up, MouseButton.LEFT)
        self.figure.canvas.callbacks.process("button_press_event", event)


def _live(figure: Figure) -> Any:
    """The figure under ipympl, whatever backend the notebook's own figures use."""
    before = matplotlib.get_backend()
    from ipympl.backend_nbagg import Canvas as LiveCanvas
    from ipympl.backend_nbagg import FigureManager

    if matplotlib.get_backend() != before:  # importing ipympl makes it the backend of all figures
        matplotlib.use(before)
    live = LiveCanvas(figure)
    FigureManager(live, 0)
    live.header_visible = live.footer_visible = live.toolbar_visible = live.resizable = False
    return live
