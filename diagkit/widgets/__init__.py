"""Panels for JupyterLab: each holds settings and a view, and every action is one pure call."""

from diagkit.widgets.canvas import Canvas
from diagkit.widgets.diagnosis import DiagnosisPanel, DiagnosisSettings
from diagkit.widgets.job import Job
from diagkit.widgets.panel import Panel
from diagkit.widgets.prediction import Prediction
from diagkit.widgets.screen import Screen

__all__ = ["Canvas", "DiagnosisPanel", "DiagnosisSettings", "Job", "Panel", "Prediction", "Screen"]
