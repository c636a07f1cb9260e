"""What does scaling the inputs change? Condition number and steps to a given loss, before and after."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor, nn

from diagkit.errors import InputError
from diagkit.experiments.scaling_run import RATES, check_scaling_data, scaling_run
from diagkit.experiments.seed_runs import check_seeds
from diagkit.experiments.study import Study, judge_pairs, values_of
from diagkit.experiments.sweep import sweep
from diagkit.experiments.sweep_result import Sweep
from diagkit.experiments.verdict import Verdict
from diagkit.objective import check_count, check_positive
from diagkit.training.feature_scaling import SCALINGS

SMALLEST = 0.05  # in log10 of the steps: 12 % more or less


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class FeatureScalingStudy(Study):
    """Runs with each scaling at each rule for the rate.

    ``frame`` has one row per run: kind, rate (the rule), condition (number of X^T X / n after scaling),
    condition_with_bias (with a column of ones, as a model with a bias has it), lambda_max (of the Hessian at
    the start), lr, steps (until the loss was reached, or those made), reached, loss (of the training data, at
    the end), held_out_loss.

    Attributes
    ----------
    target : the loss to reach. max_steps : where a run was ended.
    """

    target: float
    max_steps: int


def feature_scaling_study(
    make_model: Callable[[], nn.Module],
    loss_fn: Callable[..., Tensor],
    data: tuple[Tensor, Tensor],
    *,
    target: float,
    lr: float,
    kinds: Sequence[str] = SCALINGS,
    rates: Sequence[str] = RATES,
    adam_lr: float = 0.01,
    max_steps: int = 1000,
    seeds: Iterable[int] = range(8),
    n_jobs: int | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> FeatureScalingStudy:
    r"""Steps to the training loss ``target`` with every kind of :func:`diagkit.fit_scaling`, full gradients.

    A seed draws the 80 % of the examples that are trained on and the initial weights, the same for all kinds;
    the scaling is fitted on these 80 % alone and applied to the rest. With ``rate``

    - "fixed": gradient descent at ``lr``, whatever the scaling: one that changes the size of the inputs
      changes the step too, for better or worse;
    - "1/lambda_max": at the inverse of the largest Hessian eigenvalue at the start, which asks for no luck
      and lets the condition number decide: the error along eigenvector i falls by
      :math:`1 - \lambda_i / \lambda_{max}` per step, the slowest by :math:`1 - 1/\kappa`;
    - "Adam": at ``adam_lr``; dividing each entry of the gradient by its size, it scales by itself.

    For each kind and rule the claim "takes fewer steps than without scaling" is judged over pairs. A run that
    did not get there has made *at least* max_steps: enough for a claim against a run that did, and nothing
    where neither did (then the claim is inconclusive).

    Parameters
    ----------
    make_model : a new model, for inputs as wide as the data. loss_fn : mean over the examples.
    data : (X [N, d], y). target : in the unit of the loss; the same for all kinds.

    Raises
    ------
    InputError : data that are not [N, d], unknown kinds or rates, "none" left out.

    Example
    -------
    >>> import torch
    >>> X = torch.randn(100, 2, generator=torch.manual_seed(0)).double() * torch.tensor([1.0, 10.0])
    >>> data = X, X @ torch.tensor([[1.0], [0.1]]).double()
    >>> study = feature_scaling_study(
    ...     lambda: nn.Linear(2, 1).double(), nn.MSELoss(), data, target=1e-3, lr=0.01,
    ...     kinds=["none", "z-score"], rates=["1/lambda_max"], max_steps=100,
    ... )
    >>> study.verdicts[0].verdict, bool(study.frame["condition"].max() > 50)
    ('reproduced', True)
    """
    X, y = check_scaling_data(data)
    _check(kinds, rates)
    for name, value in (("target", target), ("lr", lr), ("adam_lr", adam_lr)):
        check_positive(name, value)
    check_count("max_steps", max_steps)
    task: dict[str, Any] = {
        "target": float(target),
        "lr": float(lr),
        "adam_lr": float(adam_lr),
        "max_steps": max_steps,
    }
    runs = sweep(
        partial(scaling_run, make_model=make_model, loss_fn=loss_fn, X=X, y=y, **task),
        {"kind": list(kinds), "rate": list(rates)},
        seeds=check_seeds(seeds),
        n_jobs=n_jobs,
        folder=folder,
        units={
            "condition_with_bias": "ratio",
            "lambda_max": "loss per squared weight",
            "steps": "steps",
            "condition": "ratio",
        },
    )
    return FeatureScalingStudy(
        sweep=runs,
        verdicts=_verdicts(runs, kinds, rates),
        target=float(target),
        max_steps=max_steps,
        complete=runs.complete,
        seconds=runs.seconds,
    )


def _verdicts(runs: Sweep, kinds: Sequence[str], rates: Sequence[str]) -> tuple[Verdict, ...]:
    found = []
    for rate in rates:
        plain, reached = _steps(runs, "none", rate)
        for kind in (kind for kind in kinds if kind != "none"):
            scaled, also = _steps(runs, kind, rate)
            told = (reached.reindex(scaled.index) > 0) | (also > 0)
            claim = f"with {_in_words(rate)}, “{kind}” scaling takes fewer steps"
            how = {"expects": "decrease", "smallest": SMALLEST, "unit": "log10 of steps"}
            found.append(judge_pairs(claim, plain, scaled.where(told), **how))  # type: ignore[arg-type]
    return tuple(found)


def _steps(runs: Sweep, kind: str, rate: str) -> tuple[pd.Series, pd.Series]:
    settings = {"kind": kind, "rate": rate}
    steps = values_of(runs, "steps", settings).clip(lower=1.0)
    return np.log10(steps), values_of(runs, "reached", settings)


def _in_words(rate: str) -> str:
    return {"fixed": "one fixed rate", "1/lambda_max": "rate 1/λ_max", "Adam": "Adam"}[rate]


def _check(kinds: Sequence[str], rates: Sequence[str]) -> None:
    for name, given, known in (("kinds", kinds, SCALINGS), ("rates", rates, RATES)):
        wrong = [value for value in given if value not in known]
        if isinstance(given, str) or wrong or not given:
            raise InputError(f"{name} = {given!r}", allowed=f"a list of some of {', '.join(known)}")
    if "none" not in kinds:
        raise InputError(
            f"kinds = {list(kinds)}", allowed="“none” among them, which the others are compared with",
            write='kinds=["none", "z-score"]',
        )  # fmt: skip
