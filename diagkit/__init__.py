"""diagkit: why did my loss stop falling, and what should I do about it?"""

from __future__ import annotations

import importlib
from typing import Any

from diagkit.diagnosis import Finding, Report, Trial, diagnose
from diagkit.errors import DiagkitError, InputError, MissingPackageError, NonFiniteError, RankError
from diagkit.measure import (
    CostEstimate,
    CriticalPoint,
    CurvatureCertificate,
    Eigenpairs,
    EigenvalueOverData,
    Escape,
    Estimate,
    GaussNewtonSplit,
    GradientNoise,
    LineSlice,
    ModuleCurvature,
    PlaneSlice,
    SpectralDensity,
    Stability,
    SymmetryCheck,
    certify_no_curvature_below,
    check_symmetry,
    classify_critical_point,
    eigenvalue_over_data,
    escape_saddle,
    estimate_cost,
    find_critical_point,
    gauss_newton_split,
    gradient_noise,
    hessian_by_module,
    hessian_density,
    hessian_eigenvalues,
    hessian_trace,
    loss_line,
    loss_plane,
    stability,
)
from diagkit.objective import Objective, share_of
from diagkit.spectral import products_needed
from diagkit.training import (
    CurvatureTrack,
    CurvatureTracker,
    History,
    Recorder,
    TrainingRun,
    read_history,
    train,
)
from diagkit.work import watching

__version__ = "0.1.0"

__all__ = [
    "CostEstimate",
    "CriticalPoint",
    "CurvatureCertificate",
    "CurvatureTrack",
    "CurvatureTracker",
    "DiagkitError",
    "Eigenpairs",
    "EigenvalueOverData",
    "Escape",
    "Estimate",
    "Finding",
    "GaussNewtonSplit",
    "GradientNoise",
    "History",
    "InputError",
    "LineSlice",
    "MissingPackageError",
    "ModuleCurvature",
    "NonFiniteError",
    "Objective",
    "PlaneSlice",
    "RankError",
    "Recorder",
    "Report",
    "SpectralDensity",
    "Stability",
    "SymmetryCheck",
    "TrainingRun",
    "Trial",
    "certify_no_curvature_below",
    "check_symmetry",
    "classify_critical_point",
    "diagnose",
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
    "products_needed",
    "read_history",
    "share_of",
    "stability",
    "train",
    "watching",
]


def __getattr__(name: str) -> Any:
    """``dk.clinic``, ``dk.plots`` and ``dk.widgets`` are loaded when they are first used."""
    if name in ("clinic", "plots", "widgets"):
        return importlib.import_module(f"diagkit.{name}")
    raise AttributeError(f"module 'diagkit' has no attribute {name!r}")
