"""Panels for JupyterLab: each holds settings and a view, and every action is one pure call."""

# The first optimizer would import it, a second in which the first picture of a lesson is missing.
import torch._dynamo  # noqa: F401

from diagkit.widgets.batch_size import BatchSizePanel, BatchSizeSettings
from diagkit.widgets.canvas import Canvas
from diagkit.widgets.clinic import ClinicPanel, ClinicSettings
from diagkit.widgets.critical_point import CriticalPointPanel, CriticalPointSettings
from diagkit.widgets.diagnosis import DiagnosisPanel, DiagnosisSettings
from diagkit.widgets.feature_scaling import ScalingPanel, ScalingSettings
from diagkit.widgets.gradient_noise import NoisePanel, NoiseSettings
from diagkit.widgets.job import Job
from diagkit.widgets.label_losses import LabelLossPanel, LabelLossSettings
from diagkit.widgets.normalization import NormalizationPanel, NormalizationSettings
from diagkit.widgets.panel import Panel
from diagkit.widgets.prediction import Prediction
from diagkit.widgets.screen import Screen
from diagkit.widgets.surface import SurfacePanel, SurfaceSettings
from diagkit.widgets.valley import ValleyPanel, ValleySettings

__all__ = [
    "BatchSizePanel",
    "BatchSizeSettings",
    "Canvas",
    "ClinicPanel",
    "ClinicSettings",
    "CriticalPointPanel",
    "CriticalPointSettings",
    "DiagnosisPanel",
    "DiagnosisSettings",
    "Job",
    "LabelLossPanel",
    "LabelLossSettings",
    "NoisePanel",
    "NoiseSettings",
    "NormalizationPanel",
    "NormalizationSettings",
    "Panel",
    "Prediction",
    "ScalingPanel",
    "ScalingSettings",
    "Screen",
    "SurfacePanel",
    "SurfaceSettings",
    "ValleyPanel",
    "ValleySettings",
]
