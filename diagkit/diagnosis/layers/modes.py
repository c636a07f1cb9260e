"""The loss of the same batches with layers as in evaluation and as in training, one kind at a time."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import nn

from diagkit.measure.price import Bill, check_objective
from diagkit.objective import Objective, check_count, check_seed, pooled, recut
from diagkit.result import Result
from diagkit.work import interrupted, progress

NORMS = (nn.modules.batchnorm._BatchNorm,)
DROPOUTS = (nn.modules.dropout._DropoutNd,)
KINDS = ("batch statistics", "dropout", "both")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ModeLosses(Result):
    """Loss of each batch [B] in evaluation mode and in three others.

    Attributes
    ----------
    sizes [B] : examples in each batch. evaluation [B] : running statistics, no dropout.
    batch_statistics [B] : BatchNorm by the batch itself, no dropout; nan where there is no such layer.
    dropout [B] : dropout on, running statistics, mean over draws; nan where there is none.
    both [B] : as in a training step.
    """

    sizes: np.ndarray
    evaluation: np.ndarray
    batch_statistics: np.ndarray
    dropout: np.ndarray
    both: np.ndarray

    def losses(self, kind: str) -> np.ndarray:
        """One of "evaluation", "batch statistics", "dropout", "both"."""
        return np.asarray(getattr(self, kind.replace(" ", "_")))

    def mean(self, kind: str) -> float:
        """Over the examples."""
        return float(np.average(self.losses(kind), weights=self.sizes))

    def gap(self, kind: str) -> tuple[float, tuple[float, float]]:
        """Loss in evaluation mode less that of ``kind``, and its 95 % t-interval, paired by batch."""
        difference = self.evaluation - self.losses(kind)
        mean = float(np.average(difference, weights=self.sizes))
        n = len(difference)
        half = float(stats.t.ppf(0.975, n - 1) * difference.std(ddof=1) / np.sqrt(n)) if n > 1 else np.inf
        return mean, (mean - half, mean + half)

    def summary(self) -> dict[str, Any]:
        kinds = [kind for kind in ("evaluation", *KINDS) if np.isfinite(self.losses(kind)).any()]
        return {kind: self.mean(kind) for kind in kinds} | {"batches": len(self.sizes)}


def mode_losses(
    obj: Objective, batch_size: int, *, batches: int = 16, draws: int = 4, seed: int = 0
) -> ModeLosses:
    r"""L_b in four modes for batches b of the size of a training step; the model's buffers stay as they are.

    BatchNorm divides by the statistics of the batch in training and by running ones in evaluation; dropout is
    on in training only. The two are switched one at a time, on a copy, so that each has its own share of what
    separates the loss that training sees from that of evaluation.

    Parameters
    ----------
    batch_size : of a training step. batches : at most so many. draws : of dropout, for each batch.

    Raises
    ------
    InputError : numbers that are not counts.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> net = torch.nn.Sequential(torch.nn.BatchNorm1d(1, affine=False), torch.nn.Identity())
    >>> _ = net[0].running_mean.fill_(3.0)  # the data have mean 0: h = x - 3 in evaluation, x in training
    >>> scale = torch.nn.Linear(1, 1, bias=False)
    >>> _ = scale.weight.data.fill_(1.0)
    >>> X = torch.tensor([[-1.0], [1.0]]).repeat(32, 1)
    >>> obj = dk.Objective(torch.nn.Sequential(net, scale), torch.nn.MSELoss(), (X, 0 * X))
    >>> found = mode_losses(obj, 64)
    >>> round(found.mean("evaluation"), 3), round(found.mean("batch statistics"), 3)  # 1 + 9, 1
    (10.0, 1.0)
    """
    check_objective(obj)
    obj.ranks.refuse("losses of single batches")
    for name, value in (("batch_size", batch_size), ("batches", batches), ("draws", draws)):
        check_count(name, value)
    check_seed(seed)
    bill = Bill(obj)
    cut = recut(obj, batch_size, seed) if pooled(obj.batches) is not None else obj
    chosen = [batch for batch in cut.batches if batch.size > 1][:batches]
    losses = np.full((4, len(chosen)), np.nan)
    with obj.quiet(), torch.no_grad(), progress("modes", len(chosen)) as advance:
        model = copy.deepcopy(obj.fixed.model).eval()
        _hold(model, obj)
        norms = [m for m in model.modules() if isinstance(m, NORMS) and m.track_running_stats]
        dropouts = [m for m in model.modules() if drops(m)]
        for index, batch in enumerate(chosen):
            if index and interrupted():
                break
            for row, (norm, drop) in enumerate(((False, False), (True, False), (False, True), (True, True))):
                if (norm and not drop and not norms) or (drop and not norm and not dropouts):
                    continue
                on = (norms if norm else [], dropouts if drop else [])
                repeats = range(draws if drop and dropouts else 1)
                # Other draws for each batch: only so do the batches tell how far the mean is off.
                values = [_loss(model, obj, batch.payload, *on, seed + draws * index + k) for k in repeats]
                losses[row, index] = np.mean(values)
            advance(1)
    obj.meter.num_evals += 2 + draws
    done = np.isfinite(losses[0])
    evaluation, statistics, dropout, both = losses[:, done]
    return ModeLosses(
        sizes=np.array([batch.size for batch in chosen])[done],
        evaluation=evaluation,
        batch_statistics=statistics,
        dropout=dropout,
        both=both,
        complete=bool(done.all()),
        seed=seed,
        **bill.paid(),
    )


def _hold(model: nn.Module, obj: Objective) -> None:
    """Put the objective's own parameters into the copy."""
    named = dict(model.named_parameters())
    for name, part in obj.layout.split(obj.theta).items():
        named[name].copy_(part)


def drops(module: nn.Module) -> bool:
    """Dropout layers, and those that have dropout built in, such as attention and stacked LSTMs."""
    rate = module.p if isinstance(module, DROPOUTS) else getattr(module, "dropout", 0.0)
    return isinstance(rate, (int, float)) and not isinstance(rate, bool) and rate > 0


def _loss(
    model: nn.Module,
    obj: Objective,
    payload: Any,
    norms: Sequence[nn.Module],
    dropouts: Sequence[nn.Module],
    seed: int,
) -> float:
    kept = [(norm, name, b.clone()) for norm in norms for name, b in norm.named_buffers(recurse=False)]
    switched = [*norms, *dropouts]
    torch.manual_seed(seed)
    try:
        for module in switched:
            module.training = True
        return float(obj.step(model, payload))
    finally:
        for module in switched:
            module.training = False
        for norm, name, before in kept:
            norm.get_buffer(name).copy_(before)
