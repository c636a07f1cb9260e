"""Many runs, compared: sweeps over settings and seeds, intervals, verdicts, seeds trained together."""

from diagkit.experiments.batch_size import (
    ARMS,
    Answer,
    BatchSizeStudy,
    CriticalBatchSize,
    Judged,
    compare_batch_sizes,
    critical_batch_size,
    info_nce,
    two_views,
)
from diagkit.experiments.ensemble import train_together
from diagkit.experiments.escape_task import PAPER_NET, EscapeTask
from diagkit.experiments.grid import Cell, Grid, make_grid
from diagkit.experiments.intervals import bootstrap_t_interval, student_interval
from diagkit.experiments.label_losses import LabelLosses, LabelLossTask, label_losses
from diagkit.experiments.noise_escape import NoiseEscapeStudy, noise_escape_study
from diagkit.experiments.normalization import (
    Normalization,
    NormalizationStudy,
    TrainingPlan,
    normalization_study,
)
from diagkit.experiments.outcome import Outcome, Run
from diagkit.experiments.paired import PairedDifference, paired_difference
from diagkit.experiments.scaling_study import FeatureScalingStudy, feature_scaling_study
from diagkit.experiments.seed_runs import SeedRuns
from diagkit.experiments.stable_rate import StableRate, largest_stable_rate
from diagkit.experiments.success_rates import RateDifference, SuccessRate, rate_difference
from diagkit.experiments.sweep import sweep
from diagkit.experiments.sweep_result import Sweep, SweepCost
from diagkit.experiments.train_seeds import pays_together, train_seeds
from diagkit.experiments.verdict import Verdict, judge

__all__ = [
    "ARMS",
    "PAPER_NET",
    "Answer",
    "BatchSizeStudy",
    "Cell",
    "CriticalBatchSize",
    "EscapeTask",
    "FeatureScalingStudy",
    "Grid",
    "Judged",
    "LabelLossTask",
    "LabelLosses",
    "NoiseEscapeStudy",
    "Normalization",
    "NormalizationStudy",
    "Outcome",
    "PairedDifference",
    "RateDifference",
    "Run",
    "SeedRuns",
    "StableRate",
    "SuccessRate",
    "Sweep",
    "SweepCost",
    "TrainingPlan",
    "Verdict",
    "bootstrap_t_interval",
    "compare_batch_sizes",
    "critical_batch_size",
    "feature_scaling_study",
    "info_nce",
    "judge",
    "label_losses",
    "largest_stable_rate",
    "make_grid",
    "noise_escape_study",
    "normalization_study",
    "paired_difference",
    "pays_together",
    "rate_difference",
    "student_interval",
    "sweep",
    "train_seeds",
    "train_together",
    "two_views",
]
