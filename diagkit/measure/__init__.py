"""One question per module: f(objective, ...) -> Result."""

from diagkit.measure.certificate import CurvatureCertificate, certify_no_curvature_below
from diagkit.measure.cost import CostEstimate, estimate_cost
from diagkit.measure.critical_point_search import find_critical_point
from diagkit.measure.critical_points import CriticalPoint, classify_critical_point
from diagkit.measure.density import SpectralDensity, hessian_density
from diagkit.measure.eigenvalue_over_data import EigenvalueOverData, eigenvalue_over_data
from diagkit.measure.escape import Escape, escape_saddle
from diagkit.measure.gauss_newton import GaussNewtonSplit, gauss_newton_split
from diagkit.measure.gradient_noise import GradientNoise, gradient_noise
from diagkit.measure.gradient_predictiveness import GradientPredictiveness, gradient_predictiveness
from diagkit.measure.layer_noise import LayerNoise, layer_noise
from diagkit.measure.modules import ModuleCurvature, hessian_by_module
from diagkit.measure.sharpness import (
    HighestLoss,
    Measured,
    Sharpness,
    SharpnessInvariance,
    sharpness,
    sharpness_invariance,
)
from diagkit.measure.signal import SignalPropagation, signal_propagation
from diagkit.measure.spectrum import Eigenpairs, hessian_eigenvalues
from diagkit.measure.stability import Stability, stability
from diagkit.measure.surface import (
    LineSlice,
    ModeConnection,
    Plane,
    PlaneSlice,
    RandomPlanes,
    SurfaceShift,
    TrajectoryPlane,
    connect_modes,
    loss_line,
    loss_plane,
    random_planes,
    refine_loss_plane,
    surface_shift,
    trajectory_plane,
)
from diagkit.measure.symmetry import SymmetryCheck, check_symmetry
from diagkit.measure.trace import Estimate, hessian_trace

__all__ = [
    "CostEstimate",
    "CriticalPoint",
    "CurvatureCertificate",
    "Eigenpairs",
    "EigenvalueOverData",
    "Escape",
    "Estimate",
    "GaussNewtonSplit",
    "GradientNoise",
    "GradientPredictiveness",
    "HighestLoss",
    "LayerNoise",
    "LineSlice",
    "Measured",
    "ModeConnection",
    "ModuleCurvature",
    "Plane",
    "PlaneSlice",
    "RandomPlanes",
    "Sharpness",
    "SharpnessInvariance",
    "SignalPropagation",
    "SpectralDensity",
    "Stability",
    "SurfaceShift",
    "SymmetryCheck",
    "TrajectoryPlane",
    "certify_no_curvature_below",
    "check_symmetry",
    "classify_critical_point",
    "connect_modes",
    "eigenvalue_over_data",
    "escape_saddle",
    "estimate_cost",
    "find_critical_point",
    "gauss_newton_split",
    "gradient_noise",
    "gradient_predictiveness",
    "hessian_by_module",
    "hessian_density",
    "hessian_eigenvalues",
    "hessian_trace",
    "layer_noise",
    "loss_line",
    "loss_plane",
    "random_planes",
    "refine_loss_plane",
    "sharpness",
    "sharpness_invariance",
    "signal_propagation",
    "stability",
    "surface_shift",
    "trajectory_plane",
]
