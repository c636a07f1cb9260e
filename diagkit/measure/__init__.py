"""One question per module: f(objective, ...) -> Result."""

from diagkit.measure.critical_point_search import find_critical_point
from diagkit.measure.critical_points import CriticalPoint, classify_critical_point
from diagkit.measure.escape import Escape, escape_saddle
from diagkit.measure.gradient_noise import GradientNoise, gradient_noise
from diagkit.measure.spectrum import Eigenpairs, hessian_eigenvalues
from diagkit.measure.surface import LineSlice, PlaneSlice, loss_line, loss_plane

__all__ = [
    "CriticalPoint",
    "Eigenpairs",
    "Escape",
    "GradientNoise",
    "LineSlice",
    "PlaneSlice",
    "classify_critical_point",
    "escape_saddle",
    "find_critical_point",
    "gradient_noise",
    "hessian_eigenvalues",
    "loss_line",
    "loss_plane",
]
