"""The thing examined: Objective, parameter vectors, preflight checks, Hessian-vector products."""

from diagkit.objective.arguments import check_count, check_positive, check_seed
from diagkit.objective.batches import (
    Batch,
    batch_size_of,
    cut,
    is_one_batch,
    pooled,
    read_batches,
    same_data_order,
    tensors_in,
)
from diagkit.objective.derived import merged, of_model, recut, thinned
from diagkit.objective.fixed_loss import FixedLoss, Meter, Step, Stepwise, call_model
from diagkit.objective.objective import Objective
from diagkit.objective.parameters import ParameterLayout
from diagkit.objective.shares import share_of
from diagkit.objective.trace import same_random_state

__all__ = [
    "Batch",
    "FixedLoss",
    "Meter",
    "Objective",
    "ParameterLayout",
    "Step",
    "Stepwise",
    "batch_size_of",
    "call_model",
    "check_count",
    "check_positive",
    "check_seed",
    "cut",
    "is_one_batch",
    "merged",
    "of_model",
    "pooled",
    "read_batches",
    "recut",
    "same_data_order",
    "same_random_state",
    "share_of",
    "tensors_in",
    "thinned",
]
