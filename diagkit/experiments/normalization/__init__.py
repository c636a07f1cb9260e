"""What normalization layers change, kind by kind, over paired seeds."""

from diagkit.experiments.normalization.one_run import TrainingPlan
from diagkit.experiments.normalization.setting import Normalization
from diagkit.experiments.normalization.study import NormalizationStudy, normalization_study

__all__ = ["Normalization", "NormalizationStudy", "TrainingPlan", "normalization_study"]
