"""The loss along lines and over planes: a pure function on explicit coordinates."""

from diagkit.measure.surface.line import LineSlice, loss_line
from diagkit.measure.surface.plane_slice import PlaneSlice, loss_plane

__all__ = ["LineSlice", "PlaneSlice", "loss_line", "loss_plane"]
