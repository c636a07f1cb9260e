"""Why did the loss stop falling? Causes, checks, trials of remedies, and the report."""

from diagkit.diagnosis.history_triage import diagnose_history
from diagkit.diagnosis.loss_curve import LossCurve
from diagkit.diagnosis.report import Finding, Question, Report
from diagkit.diagnosis.triage import diagnose
from diagkit.diagnosis.trial import Trial

__all__ = ["Finding", "LossCurve", "Question", "Report", "Trial", "diagnose", "diagnose_history"]
