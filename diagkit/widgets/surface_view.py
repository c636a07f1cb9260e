"""What the surface explorer shows: the plane from above, a cut through it, and both in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from diagkit.measure.surface import PlaneSlice
from diagkit.measure.surface.reading import Reading, section
from diagkit.measure.surface.scale import Scale
from diagkit.plots import draw
from diagkit.plots.plane_words import how_sure, missing
from diagkit.plots.section import READ, draw_section
from diagkit.plots.style import TEXT, look
from diagkit.result import show_number
from diagkit.widgets.canvas import Canvas
from diagkit.widgets.screen import Screen

SIZE = (11.0, 6.0)  # inches
PLACES = ((0.085, 0.3, 0.46, 0.63), (0.765, 0.3, 0.22, 0.63))  # of the map and the cut: left, bottom, size
ALT = "the loss over a plane, and along a line of it"

Pictures = Mapping[str, PlaneSlice]  # by the data that the loss is of
Place = tuple[float, float]


class SurfaceView:
    """A map at the left, a cut at the right; a click on the map redraws nothing but the ring and the cut."""

    def __init__(self, screen: Screen) -> None:
        self.canvas = Canvas(screen, size=SIZE, alt=ALT)
        self.map: Axes | None = None
        self._cut: Any = None
        self._ring: Any = None
        self._shown: tuple[Any, ...] = ()  # on the map

    def draw(
        self,
        pictures: Pictures,
        name: str,
        title: str,
        place: Place,
        *,
        readings: Mapping[str, Reading],
        target: float | None,
        path: Any = None,
    ) -> None:
        """Show ``pictures[name]``; where the losses of all pictures overlap, they share their colours."""
        with look():
            shown = (*pictures.values(), name)
            if shown != self._shown:
                self._draw_map(pictures, name, title, path)
                self._shown = shown
            self._mark(place)
            self._cut.clear()
            cuts = {each: section(picture, *place) for each, picture in pictures.items()}
            draw_section(cuts, self._cut, reading=readings.get(name), target=target)
        self.canvas.refresh()

    def _draw_map(self, pictures: Pictures, name: str, title: str, path: Any) -> None:
        if self.map is None:
            self.map, self._cut = (self.canvas.figure.add_axes(place) for place in PLACES)
        self._shown = ()
        self.map.clear()
        self.map.set_title(title)
        draw(pictures[name], self.map, scale=_scale(pictures), **({} if path is None else {"path": path}))
        self.map.tick_params(labelsize=TEXT)
        self._ring = self.map.plot([], [], zorder=8, clip_on=False, **READ)[0]

    def _mark(self, place: Place) -> None:
        """A ring where the loss is read, unless that is at the star or outside of the map."""
        assert self.map is not None
        limits = (self.map.get_xlim(), self.map.get_ylim())
        inside = all(low <= x <= high for x, (low, high) in zip(place, limits, strict=True))
        self._ring.set_data(*([[x] for x in place] if inside and any(place) else ([], [])))


def _scale(pictures: Pictures) -> Scale | None:
    """One for all pictures; None where they have no loss in common, and each would be of one colour."""
    scales = [picture.scale for picture in pictures.values()]
    if max(scale.low for scale in scales) >= min(scale.high for scale in scales):
        return None
    return Scale.of(np.concatenate([picture.loss.ravel() for picture in pictures.values()]))


def in_words(pictures: Pictures, place: Place, readings: Mapping[str, Reading]) -> str:
    """The range of each surface, how sure it is, and the loss at the place that is read."""
    where, lines = f"(a, b) = ({place[0]:g}, {place[1]:g})", []
    for name, picture in pictures.items():
        said = [*how_sure(picture)[:2], missing(picture)]
        lines.append(f"{name} loss: {_range(picture)}; {', '.join(filter(None, said))}")
        if name in readings:
            lines.append(f"{name} loss at {where}: {_said(readings[name])}")
    if not readings:
        lines.append(f"the loss at {where} is computed when the picture is done")
    return "\n".join(lines)


def _range(picture: PlaneSlice) -> str:
    finite = picture.loss[np.isfinite(picture.loss)]
    if not finite.size:
        return "no finite number"
    return f"{show_number(float(finite.min()), 3)} to {show_number(float(finite.max()), 3)}"


def _said(reading: Reading) -> str:
    """Computed, and what the picture says."""
    if not np.isfinite(reading.computed):
        return "computed: not finite"
    words = f"computed {show_number(reading.computed, 4)}"
    if not np.isfinite(reading.interpolated):
        return f"{words} (no number in the picture)"
    words += f", interpolated {show_number(reading.interpolated, 4)}"
    return words + (f" ± {show_number(reading.allowed, 2)}" if np.isfinite(reading.allowed) else "")
