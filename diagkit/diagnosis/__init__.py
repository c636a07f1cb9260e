"""Why did the loss stop falling? Causes, checks, trials of remedies, and the report."""

from diagkit.diagnosis.report import Finding, Question, Report
from diagkit.diagnosis.triage import diagnose
from diagkit.diagnosis.trial import Trial

__all__ = ["Finding", "Question", "Report", "Trial", "diagnose"]
