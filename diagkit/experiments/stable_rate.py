"""The largest learning rate that still trains, between one that does and one that does not."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from diagkit.errors import InputError
from diagkit.objective import check_count, check_positive, check_seed
from diagkit.result import Result
from diagkit.training import Minibatches, train
from diagkit.work import progress

MOST_DOUBLINGS = 40  # a factor of 1e12 either way
MakeOptimizer = Callable[..., torch.optim.Optimizer]  # (parameters, lr) -> optimizer


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class StableRate(Result):
    """Learning rates that were tried from one start, and what became of the loss.

    Attributes
    ----------
    rate : the largest that was seen to be stable, 0 if none was. interval : it, and the smallest rate above
        it that was not stable; inf if there was none.
    rates [n], ratios [n] : in increasing order, and mean loss of the last quarter of the steps over that of
        the same minibatches at the start; inf where the loss became NaN or Inf. stable [n] : ratio <= 1.
    steps : of each trial.
    """

    rate: float
    interval: tuple[float, float]
    rates: np.ndarray
    ratios: np.ndarray
    stable: np.ndarray
    steps: int

    def summary(self) -> dict[str, Any]:
        return {"rate": self.rate, "interval": list(self.interval), "trials": len(self.rates)}

    def to_frame(self) -> pd.DataFrame:
        """One row per rate: ratio, stable."""
        columns = {"ratio": self.ratios, "stable": self.stable}
        return pd.DataFrame(columns, index=pd.Index(self.rates, name="rate"))


def largest_stable_rate(
    model: nn.Module,
    loss_fn: Callable[..., Tensor],
    data: Any,
    *,
    optimizer: MakeOptimizer = torch.optim.SGD,
    first: float = 0.1,
    steps: int = 50,
    batch_size: int | None = None,
    tol: float = 0.05,
    seed: int = 0,
) -> StableRate:
    r"""Double or halve the rate until stability changes, then bisect in its logarithm.

    A rate is *stable* here if ``steps`` steps from the model as it stands keep the loss finite, and the mean
    loss of the last quarter of the steps, each before its step, is at most that of the same minibatches at
    the start. Every rate sees the same minibatches; the model is in training mode, so that batch
    normalization uses batch statistics.

    For gradient descent on a quadratic the loss along eigenvector i is multiplied by :math:`(1 - \eta
    \lambda_i)^2` per step, so that the limit is :math:`2 / \lambda_{max}`, from above: a rate over it is
    found out when the growing part has overtaken the start,

    .. math:: 2/\lambda_{max} \le \eta \le (1 + \kappa)\,/\lambda_{max}, \qquad
              \kappa = (L_0 / L_{0,1})^{1 / (2 \lfloor 3T/4 \rfloor)},

    with T the steps and L_{0,1} the part of the first loss L_0 along the largest eigenvalue. On other
    losses a rate over :math:`2/\lambda_{max}` may be stable, as the curvature falls along the way (Cohen et
    al. 2021, arXiv:2103.00065; Lewkowycz et al. 2020, arXiv:2003.02218): it is not a statement about one
    point. Nor need stability change only once between the rates tried; one change is found.

    Parameters
    ----------
    model : trained as copies; it stays as it is.
    data : as for :func:`diagkit.train`. batch_size : None for all examples at once, where the cutting is
        ours.
    optimizer : function of parameters and ``lr``. first : the rate tried first.
    tol : the work ends when the two ends of the interval are a factor of 1 + tol apart.

    Raises
    ------
    InputError : fewer than 4 steps, a first loss that is not finite, and what :func:`diagkit.train` refuses.

    Example
    -------
    >>> w = nn.Linear(1, 1, bias=False)
    >>> _ = w.weight.data.fill_(3.0)
    >>> half = lambda out, y: ((out - y) ** 2).mean() / 2
    >>> X = torch.full((4, 1), 2.0)  # L = 4 w^2 / 2: the limit is 2 / 4
    >>> found = largest_stable_rate(w, half, (X, 0 * X), tol=0.01)
    >>> found.interval[0] <= 0.5 < found.interval[1] <= 1.01 * found.interval[0]
    True
    """
    check_positive("first", first, write="0.1")
    check_positive("tol", tol, write="0.05")
    check_count("steps", steps, least=4, write="50")
    check_seed(seed)
    started = time.perf_counter()
    if batch_size is None:
        batch_size = Minibatches(data).num_examples
    loss_at = partial(_late_loss, model, loss_fn, data, optimizer, steps, batch_size, seed)
    tried: dict[float, float] = {}
    complete = True
    with progress("rates", 0) as advance:
        try:
            start = loss_at(0.0)
            if not np.isfinite(start):
                raise InputError(f"a loss of {start} at the start", allowed="a finite one")

            def is_stable(rate: float) -> bool:
                late = loss_at(rate)
                tried[rate] = late / start if start > 0 else float(np.where(late <= start, 1.0, np.inf))
                advance(1)
                return tried[rate] <= 1.0

            _search(is_stable, float(first), tol)
        except _OutOfTime:
            complete = False
    rates = np.array(sorted(tried))
    ratios = np.array([tried[rate] for rate in rates])
    low = float(rates[ratios <= 1.0].max(initial=0.0))
    return StableRate(
        rate=low,
        interval=(low, float(rates[rates > low].min(initial=np.inf))),
        rates=rates,
        ratios=ratios,
        stable=ratios <= 1.0,
        steps=steps,
        seed=seed,
        complete=complete,
        seconds=time.perf_counter() - started,
    )


class _OutOfTime(Exception):  # noqa: N818 - a signal to the search, caught there
    """A trial was cut short and says nothing about its rate."""


def _search(is_stable: Callable[[float], bool], first: float, tol: float) -> None:
    """Double or halve from ``first`` until stability changes, then bisect."""
    low, high, rate = 0.0, float("inf"), first
    for _ in range(MOST_DOUBLINGS):
        if is_stable(rate):
            low, rate = rate, 2 * rate
        else:
            high, rate = rate, rate / 2
        if low > 0 and high < np.inf:
            break
    while low > 0 and (1 + tol) * low < high < np.inf:
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if is_stable(middle) else (low, middle)


def _late_loss(
    model: nn.Module,
    loss_fn: Any,
    data: Any,
    optimizer: MakeOptimizer,
    steps: int,
    batch_size: int | None,
    seed: int,
    rate: float,
) -> float:
    """Mean loss of the last quarter of the steps at this rate; inf where the run did not get there."""
    run = train(
        copy.deepcopy(model),
        loss_fn,
        data,
        optimizer=lambda parameters: optimizer(parameters, lr=rate),
        max_steps=steps,
        batch_size=batch_size,
        seed=seed,
    )
    if not run.complete:
        raise _OutOfTime
    losses = np.asarray(run.history.loss)
    late = losses[steps - steps // 4 :]
    return float(late.mean()) if run.ended_by == "max_steps" and np.isfinite(late).all() else float("inf")
