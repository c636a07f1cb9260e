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
from diagkit.measure.modules import ModuleCurvature, hessian_by_module
from diagkit.measure.spectrum import Eigenpairs, hessian_eigenvalues
from diagkit.measure.stability import Stability, stability
from diagkit.measure.surface import LineSlice, PlaneSlice, loss_line, loss_plane
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
    "LineSlice",
    "ModuleCurvature",
    "PlaneSlice",
    "SpectralDensity",
    "Stability",
    "SymmetryCheck",
    "certify_no_curvature_below",
    "check_symmetry",
    "classify_critical_point",
    "eigenvalue_over_data",
    "escape_saddle",
    "estimate_cost",
    "find_critical_point",
    "gauss_newton_split",
    "gradient_noise",
    "hessian_by_module",
    "hessian_density",
    "hessian_eigenvalues",
    "hessian_trace",
    "loss_line",
    "loss_plane",
    "stability",
]
