"""The loss along lines and over planes: a pure function on explicit coordinates."""

from diagkit.measure.surface.line import LineSlice, loss_line
from diagkit.measure.surface.many_planes import RandomPlanes, random_planes
from diagkit.measure.surface.mode_connection import ModeConnection, connect_modes
from diagkit.measure.surface.plane import Mark, Plane
from diagkit.measure.surface.plane_slice import PlaneSlice, loss_plane, refine_loss_plane
from diagkit.measure.surface.surface_shift import SurfaceShift, surface_shift
from diagkit.measure.surface.trajectory import TrajectoryPlane, trajectory_plane

__all__ = [
    "LineSlice",
    "Mark",
    "ModeConnection",
    "Plane",
    "PlaneSlice",
    "RandomPlanes",
    "SurfaceShift",
    "TrajectoryPlane",
    "connect_modes",
    "loss_line",
    "loss_plane",
    "random_planes",
    "refine_loss_plane",
    "surface_shift",
    "trajectory_plane",
]
