"""Why did the loss stop falling? Causes, checks, trials of remedies, and the report."""

from diagkit.diagnosis.consultation import Consultation, Consulted, consult
from diagkit.diagnosis.history_triage import diagnose_history
from diagkit.diagnosis.loss_curve import LossCurve
from diagkit.diagnosis.orders import ORDERS, Answer, Order
from diagkit.diagnosis.report import Finding, Question, Report
from diagkit.diagnosis.triage import diagnose
from diagkit.diagnosis.trial import Trial

__all__ = [
    "ORDERS",
    "Answer",
    "Consultation",
    "Consulted",
    "Finding",
    "LossCurve",
    "Order",
    "Question",
    "Report",
    "Trial",
    "consult",
    "diagnose",
    "diagnose_history",
]
