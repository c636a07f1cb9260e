"""What normalization changes: curvature, effective rate, signals, batch sizes, stable rates."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor, nn

from diagkit.errors import InputError
from diagkit.experiments.normalization.claims import judge_all
from diagkit.experiments.normalization.one_run import MEASURES, TIMES, TrainingPlan, size_run, study_run
from diagkit.experiments.normalization.setting import (
    Normalization,
    as_normalizations,
    refuse_batches_of_one,
)
from diagkit.experiments.seed_runs import check_seeds, made
from diagkit.experiments.study import Study
from diagkit.experiments.sweep import sweep
from diagkit.experiments.sweep_result import Sweep
from diagkit.objective import check_count, check_positive
from diagkit.training import Minibatches

KINDS = ("none", "batch", "layer", "weight")
HELD_OUT = 0.2


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class NormalizationStudy(Study):
    """Runs with each normalization, and with each at other batch sizes.

    ``frame`` has one row per run: kind, place, affine, seed, and what :func:`normalization_study` measures.

    Attributes
    ----------
    normalizations : as given, "none" among them. sizes : runs over (normalization, batch_size); None without.
    training : rate, steps and the like.
    """

    normalizations: tuple[Normalization, ...]
    sizes: Sweep | None
    training: TrainingPlan

    @property
    def size_frame(self) -> pd.DataFrame:
        """One row per run at another batch size: loss_running, loss_batch, gap (running less batch)."""
        return pd.DataFrame() if self.sizes is None else self.sizes.frame


def normalization_study(
    make_model: Callable[[], nn.Module],
    loss_fn: Callable[..., Tensor],
    data: tuple[Tensor, Tensor],
    kinds: Sequence[str | Normalization] = KINDS,
    *,
    training: TrainingPlan | None = None,
    batch_sizes: Sequence[int] = (2,),
    seeds: Iterable[int] = range(8),
    n_jobs: int | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> NormalizationStudy:
    r"""Train one network with each kind of normalization, from the same weights, and measure what it changes.

    After ``training.early`` steps, where the loss has come down to half the plain model's first one, and at
    the end, on the surface that training sees (batch statistics, differentiated through), columns ending in
    _early, _matched (NaN where the loss was not reached) and _late:

    - lambda_max, of the whole Hessian, with its error. In front of a normalization it shrinks as 1/|w|^2
      without anything having changed: raw values compare functions of different size;
    - relative_lambda_max: of D H D, D multiplying each hidden layer's weights by their norm: |w|^2
      lambda_max, which does not know the size; see :func:`relative_curvature`;
    - top_over_rms: lambda_max over the root mean square eigenvalue: 1 for a round bowl, sqrt(P) for a ravine;
    - gradient_change: largest |g(theta - eta g) - g| / |g| for eta from lr/2 to 4 lr (Santurkar et al. 2018,
      arXiv:1805.11604), and smoothness, the same over eta;

    and once: stable_rate (:func:`largest_stable_rate` at the start), effective_rate_first and _last:
    lr/|w|^2, geometric mean over hidden layers (its course is in ``sweep.series``), signal_growth and
    gradient_growth per hidden layer at the start (:func:`diagkit.signal_propagation`; NaN for nets that are
    not deep enough), loss_running and loss_batch: held-out loss in evaluation, with running statistics, and
    in training mode, with those of batches; gap is the one less the other. Spectral normalization has one
    too: its estimate of the largest singular value moves with each pass in training mode.

    *Is the surface rounder?* is judged per kind against "none" over paired seeds for each measure at each
    time, as differences of log10 where a quarter more or less counts. After as many steps the one may be
    far ahead of the other, and curvature changes along the way: only the matched loss compares like with
    like (a mean of ten minibatches lags where the loss falls fast: loss_matched says where it stood).
    Judged are also that the effective rate falls along training, and that small batches cost more than
    without normalization: they see fewer examples, for every kind alike, hence differences of differences.

    Parameters
    ----------
    make_model : a new plain model, without normalization, that :func:`diagkit.with_normalization` takes.
    data : (X, y); a fifth of them, the last, is held out.
    kinds : names, or :class:`Normalization` with place and affine; "none" must be among them.
    training : the same rate for all kinds. ``dk.TrainingPlan(steps=4000)`` for a longer one;
        ``seeds=[0]`` and then ``.estimate(range(8))`` tells how long it takes.
    batch_sizes : further ones, trained for as many steps.
    folder : holds the two sweeps as "kinds" and "batch_sizes".

    Raises
    ------
    InputError : batch statistics with a batch of 1, the last one of an epoch included; kinds without "none".

    Example
    -------
    >>> import torch
    >>> X = torch.randn(80, 4, generator=torch.manual_seed(0))
    >>> net = lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> quick = TrainingPlan(steps=8, early=4, stable_steps=4, batch_size=16)
    >>> study = normalization_study(
    ...     net, nn.CrossEntropyLoss(), (X, (X[:, 0] > 0).long()), ["none", "layer"], training=quick,
    ...     batch_sizes=(), seeds=range(2),
    ... )
    >>> bool(study.frame["gap"].abs().max() < 1e-6), study.verdicts[0].verdict  # 2 seeds are too few
    (True, 'inconclusive')
    """
    training = TrainingPlan() if training is None else training
    _check(training, batch_sizes)
    normalizations, chosen = as_normalizations(kinds), check_seeds(seeds)
    X, y = data
    cut = len(X) - max(1, int(HELD_OUT * len(X)))
    parts = {"data": (X[:cut], y[:cut]), "held_out": (X[cut:], y[cut:])}
    model = made(make_model, chosen[0])
    for normalization in normalizations:
        for size in (training.batch_size, *batch_sizes):
            refuse_batches_of_one(model, normalization, Minibatches(parts["data"], batch_size=size))
    common: dict[str, Any] = {"make_model": make_model, "loss_fn": loss_fn, "training": training, **parts}
    settings = [normalization.settings for normalization in normalizations]
    how: dict[str, Any] = {"seeds": chosen, "n_jobs": n_jobs}
    runs = sweep(
        partial(study_run, **common), settings, folder=_inside(folder, "kinds"), units=_units(), **how
    )
    sizes = None
    if batch_sizes:
        sizes = sweep(
            partial(size_run, **common),
            [s | {"batch_size": b} for s in settings for b in (*batch_sizes, training.batch_size)],
            folder=_inside(folder, "batch_sizes"),
            units={"batch_size": "examples"},
            **how,
        )
    return NormalizationStudy(
        sweep=runs,
        verdicts=judge_all(runs, sizes, normalizations, training, batch_sizes),
        normalizations=normalizations,
        sizes=sizes,
        training=training,
        complete=runs.complete and (sizes is None or sizes.complete),
        seconds=runs.seconds + (0.0 if sizes is None else sizes.seconds),
    )


def _units() -> dict[str, str]:
    measured = {f"{name}_{when}": unit for name, unit in MEASURES.items() for when in TIMES}
    return measured | {"stable_rate": "learning rate", "effective_rate_first": "learning rate / weight^2"}


def _inside(folder: str | os.PathLike[str] | None, name: str) -> Path | None:
    return None if folder is None else Path(folder) / name


def _check(training: TrainingPlan, batch_sizes: Sequence[int]) -> None:
    check_positive("lr", training.lr)
    for name in ("batch_size", "steps", "early", "max_examples"):
        check_count(name, getattr(training, name))
    check_count("stable_steps", training.stable_steps, least=4)
    for size in batch_sizes:
        check_count("batch_sizes", size)
    if training.early >= training.steps or training.batch_size in batch_sizes:
        raise InputError(
            f"early = {training.early} of {training.steps} steps, batch sizes {list(batch_sizes)} "
            f"beside {training.batch_size}",
            allowed="early < steps, and other batch sizes than the training's own",
        )
