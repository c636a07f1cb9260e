"""diagkit: why did my loss stop falling, and what should I do about it?"""

from __future__ import annotations

import importlib
from typing import Any

from diagkit.diagnosis import Finding, Report, Trial, diagnose
from diagkit.errors import DiagkitError, InputError, MissingPackageError, NonFiniteError
from diagkit.measure import (
    CriticalPoint,
    Eigenpairs,
    Escape,
    GradientNoise,
    LineSlice,
    PlaneSlice,
    classify_critical_point,
    escape_saddle,
    find_critical_point,
    gradient_noise,
    hessian_eigenvalues,
    loss_line,
    loss_plane,
)
from diagkit.objective import Objective
from diagkit.training import History, Recorder, TrainingRun, read_history, train
from diagkit.work import watching

__version__ = "0.1.0"

__all__ = [
    "CriticalPoint",
    "DiagkitError",
    "Eigenpairs",
    "Escape",
    "Finding",
    "GradientNoise",
    "History",
    "InputError",
    "LineSlice",
    "MissingPackageError",
    "NonFiniteError",
    "Objective",
    "PlaneSlice",
    "Recorder",
    "Report",
    "TrainingRun",
    "Trial",
    "classify_critical_point",
    "diagnose",
    "escape_saddle",
    "find_critical_point",
    "gradient_noise",
    "hessian_eigenvalues",
    "loss_line",
    "loss_plane",
    "read_history",
    "train",
    "watching",
]


def __getattr__(name: str) -> Any:
    """``dk.clinic``, ``dk.plots`` and ``dk.widgets`` are loaded when they are first used."""
    if name in ("clinic", "plots", "widgets"):
        return importlib.import_module(f"diagkit.{name}")
    raise AttributeError(f"module 'diagkit' has no attribute {name!r}")
