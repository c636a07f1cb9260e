"""Many runs, compared: sweeps over settings and seeds, intervals, verdicts, seeds trained together."""

from diagkit.experiments.ensemble import train_together
from diagkit.experiments.grid import Cell, Grid, make_grid
from diagkit.experiments.intervals import bootstrap_t_interval, student_interval
from diagkit.experiments.outcome import Outcome, Run
from diagkit.experiments.paired import PairedDifference, paired_difference
from diagkit.experiments.seed_runs import SeedRuns
from diagkit.experiments.success_rates import RateDifference, SuccessRate, rate_difference
from diagkit.experiments.sweep import sweep
from diagkit.experiments.sweep_result import Sweep, SweepCost
from diagkit.experiments.train_seeds import pays_together, train_seeds
from diagkit.experiments.verdict import Verdict, judge

__all__ = [
    "Cell",
    "Grid",
    "Outcome",
    "PairedDifference",
    "RateDifference",
    "Run",
    "SeedRuns",
    "SuccessRate",
    "Sweep",
    "SweepCost",
    "Verdict",
    "bootstrap_t_interval",
    "judge",
    "make_grid",
    "paired_difference",
    "pays_together",
    "rate_difference",
    "student_interval",
    "sweep",
    "train_seeds",
    "train_together",
]
