"""Panels for JupyterLab: each holds settings and a view, and every action is one pure call."""

from diagkit.widgets.app import Job, Screen
from diagkit.widgets.diagnosis import DiagnosisPanel, DiagnosisSettings

__all__ = ["DiagnosisPanel", "DiagnosisSettings", "Job", "Screen"]
