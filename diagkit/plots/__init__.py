"""Pictures of results. Matplotlib is imported here and in the widgets, nowhere else."""

from diagkit.plots import runs  # noqa: F401  (registers the runs with draw)
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.escape import draw_escape
from diagkit.plots.gradient_noise import draw_gradient_noise
from diagkit.plots.history import draw_history, draw_training_run
from diagkit.plots.line import draw_line
from diagkit.plots.report import draw_report, render_png, surface_options
from diagkit.plots.spectrum import draw_critical_point, draw_eigenpairs
from diagkit.plots.style import styled
from diagkit.plots.surface import draw_plane
from diagkit.plots.trial import draw_trial

__all__ = [
    "Drawn",
    "draw",
    "draw_critical_point",
    "draw_eigenpairs",
    "draw_escape",
    "draw_gradient_noise",
    "draw_history",
    "draw_line",
    "draw_plane",
    "draw_report",
    "draw_training_run",
    "draw_trial",
    "render_png",
    "styled",
    "surface_options",
]
