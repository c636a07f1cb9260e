"""Pictures of results. Matplotlib is imported here and in the widgets, nowhere else."""

from diagkit.plots import runs  # noqa: F401  (registers the runs with draw)
from diagkit.plots.certificate import draw_certificate, draw_symmetry
from diagkit.plots.cost import draw_cost
from diagkit.plots.density import draw_density
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.eigenvalue_over_data import draw_eigenvalue_over_data
from diagkit.plots.escape import draw_escape
from diagkit.plots.estimate import draw_estimate
from diagkit.plots.gauss_newton import draw_gauss_newton_split
from diagkit.plots.gradient_noise import draw_gradient_noise
from diagkit.plots.history import draw_history, draw_training_run
from diagkit.plots.line import draw_line
from diagkit.plots.modules import draw_modules
from diagkit.plots.report import draw_report, render_png, surface_options
from diagkit.plots.spectrum import draw_critical_point, draw_eigenpairs
from diagkit.plots.stability import draw_curvature_track, draw_stability
from diagkit.plots.style import styled
from diagkit.plots.surface import draw_plane
from diagkit.plots.trial import draw_trial

__all__ = [
    "Drawn",
    "draw",
    "draw_certificate",
    "draw_cost",
    "draw_critical_point",
    "draw_curvature_track",
    "draw_density",
    "draw_eigenpairs",
    "draw_eigenvalue_over_data",
    "draw_escape",
    "draw_estimate",
    "draw_gauss_newton_split",
    "draw_gradient_noise",
    "draw_history",
    "draw_line",
    "draw_modules",
    "draw_plane",
    "draw_report",
    "draw_stability",
    "draw_symmetry",
    "draw_training_run",
    "draw_trial",
    "render_png",
    "styled",
    "surface_options",
]
