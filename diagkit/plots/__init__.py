"""Pictures of results. Matplotlib is imported here and in the widgets, nowhere else."""

from diagkit.plots import runs  # noqa: F401  (registers the runs with draw)
from diagkit.plots.annealing import draw_noise_annealing
from diagkit.plots.batch_size import draw_arm_effects, draw_batch_sizes
from diagkit.plots.batch_size_answers import (
    draw_arm_answers,
    draw_arm_names,
    draw_effects_so_far,
    legend_of_effects,
)
from diagkit.plots.certificate import draw_certificate, draw_symmetry
from diagkit.plots.comparison import draw_paired_difference, draw_rate_difference, draw_verdict
from diagkit.plots.consultation import draw_answer, draw_consultation, draw_words
from diagkit.plots.cost import draw_cost
from diagkit.plots.critical_batch_size import draw_critical_batch_size
from diagkit.plots.density import draw_density
from diagkit.plots.dependence import draw_dependence
from diagkit.plots.descent_path import draw_descent_map, draw_descent_path
from diagkit.plots.drawing import Drawn, draw
from diagkit.plots.eigenvalue_over_data import draw_eigenvalue_over_data
from diagkit.plots.escape import draw_escape
from diagkit.plots.estimate import draw_estimate
from diagkit.plots.feature_scaling import draw_scaling
from diagkit.plots.gauss_newton import draw_gauss_newton_split
from diagkit.plots.gradient_noise import draw_gradient_noise
from diagkit.plots.gradient_predictiveness import draw_gradient_predictiveness
from diagkit.plots.history import draw_history, draw_training_run
from diagkit.plots.label_losses import draw_label_losses, draw_start_gradient, draw_start_loss
from diagkit.plots.layer_noise import draw_layer_noise
from diagkit.plots.line import draw_line
from diagkit.plots.loss_curve import draw_loss_curve
from diagkit.plots.many_planes import draw_random_planes
from diagkit.plots.mode_connection import draw_mode_connection
from diagkit.plots.mode_losses import draw_mode_losses
from diagkit.plots.modules import draw_modules
from diagkit.plots.noise_escape import draw_noise_escape
from diagkit.plots.normalization_run import draw_curvature_on_the_way, draw_normalization_run
from diagkit.plots.normalization_study import draw_normalization_study
from diagkit.plots.own_step import draw_mode_gap, draw_own_step
from diagkit.plots.report import draw_report, render_png, surface_options
from diagkit.plots.scaled_inputs import draw_columns, draw_pair_valley, draw_scaled_inputs
from diagkit.plots.scaling_study import draw_feature_scaling_study
from diagkit.plots.section import draw_section
from diagkit.plots.seed_runs import draw_seed_runs
from diagkit.plots.sharpness import draw_sharpness, draw_sharpness_invariance
from diagkit.plots.signal import draw_signal_propagation
from diagkit.plots.spectrum import draw_critical_point, draw_eigenpairs
from diagkit.plots.stability import draw_curvature_track, draw_stability
from diagkit.plots.stable_rate import draw_stable_rate
from diagkit.plots.style import styled
from diagkit.plots.surface import draw_plane
from diagkit.plots.surface_shift import draw_surface_shift
from diagkit.plots.surroundings import draw_step, draw_way, move_step, move_way
from diagkit.plots.sweep import draw_sweep
from diagkit.plots.trajectory import draw_trajectory
from diagkit.plots.trial import draw_trial
from diagkit.plots.unit_slopes import draw_unit_slopes
from diagkit.plots.verdict_table import draw_verdict_table

__all__ = [
    "Drawn",
    "draw",
    "draw_answer",
    "draw_arm_answers",
    "draw_arm_effects",
    "draw_arm_names",
    "draw_batch_sizes",
    "draw_certificate",
    "draw_columns",
    "draw_consultation",
    "draw_cost",
    "draw_critical_batch_size",
    "draw_critical_point",
    "draw_curvature_on_the_way",
    "draw_curvature_track",
    "draw_density",
    "draw_dependence",
    "draw_descent_map",
    "draw_descent_path",
    "draw_effects_so_far",
    "draw_eigenpairs",
    "draw_eigenvalue_over_data",
    "draw_escape",
    "draw_estimate",
    "draw_feature_scaling_study",
    "draw_gauss_newton_split",
    "draw_gradient_noise",
    "draw_gradient_predictiveness",
    "draw_history",
    "draw_label_losses",
    "draw_layer_noise",
    "draw_line",
    "draw_loss_curve",
    "draw_mode_connection",
    "draw_mode_gap",
    "draw_mode_losses",
    "draw_modules",
    "draw_noise_annealing",
    "draw_noise_escape",
    "draw_normalization_run",
    "draw_normalization_study",
    "draw_own_step",
    "draw_pair_valley",
    "draw_paired_difference",
    "draw_plane",
    "draw_random_planes",
    "draw_rate_difference",
    "draw_report",
    "draw_scaled_inputs",
    "draw_scaling",
    "draw_section",
    "draw_seed_runs",
    "draw_sharpness",
    "draw_sharpness_invariance",
    "draw_signal_propagation",
    "draw_stability",
    "draw_stable_rate",
    "draw_start_gradient",
    "draw_start_loss",
    "draw_step",
    "draw_surface_shift",
    "draw_sweep",
    "draw_symmetry",
    "draw_training_run",
    "draw_trajectory",
    "draw_trial",
    "draw_unit_slopes",
    "draw_verdict",
    "draw_verdict_table",
    "draw_way",
    "draw_words",
    "legend_of_effects",
    "move_step",
    "move_way",
    "render_png",
    "styled",
    "surface_options",
]
