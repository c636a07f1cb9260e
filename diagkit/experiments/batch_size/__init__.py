"""Batch sizes compared: arms, matched training loss, sharpness, verdicts; and the critical batch size."""

from diagkit.experiments.batch_size.arms import ARMS
from diagkit.experiments.batch_size.claims import Answer, Judged
from diagkit.experiments.batch_size.compare import compare_batch_sizes
from diagkit.experiments.batch_size.contrastive import info_nce, two_views
from diagkit.experiments.batch_size.critical_batch_size import CriticalBatchSize, critical_batch_size
from diagkit.experiments.batch_size.study import BatchSizeStudy

__all__ = [
    "ARMS",
    "Answer",
    "BatchSizeStudy",
    "CriticalBatchSize",
    "Judged",
    "compare_batch_sizes",
    "critical_batch_size",
    "info_nce",
    "two_views",
]
