"""One table under one scaling: its columns, the valley of two weights, the loss beside the plain one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor, nn

from diagkit.errors import InputError
from diagkit.experiments.outcome import Outcome
from diagkit.experiments.scaling_run import RATES, check_scaling_data, scaling_run, training_part
from diagkit.experiments.seed_runs import made
from diagkit.objective import check_count, check_positive, check_seed
from diagkit.result import Result
from diagkit.training.feature_scaling import SCALINGS, Scaling, fit_scaling
from diagkit.work import interrupted, progress

PLAIN = "none"
PATH = 30  # steps in the valley


@dataclass(frozen=True)
class ScalingTask:
    """What is trained: kind of scaling, rule for the rate, and when to stop.

    Parameters
    ----------
    kind : one of :func:`diagkit.fit_scaling`. rule : "fixed" (at ``lr``), "1/lambda_max" or "Adam" (at
    ``adam_lr``), as in :func:`diagkit.feature_scaling_study`. target : the loss to reach.

    Raises
    ------
    InputError : an unknown kind or rule, numbers that are not positive.
    """

    kind: str = PLAIN
    rule: str = "1/lambda_max"
    target: float = 0.5
    lr: float = 0.1
    adam_lr: float = 0.01
    max_steps: int = 200

    def __post_init__(self) -> None:
        for name, known in (("kind", SCALINGS), ("rule", RATES)):
            if getattr(self, name) not in known:
                raise InputError(f"{name}={getattr(self, name)!r}", allowed=f"one of {', '.join(known)}")
        for name in ("target", "lr", "adam_lr"):
            check_positive(name, getattr(self, name))
        check_count("max_steps", self.max_steps)


@dataclass(frozen=True)
class PairValley:
    """The error of two weights in a linear model of two columns: L = (1/2) e^T H e.

    Attributes
    ----------
    H [2, 2] : X^T X / n of the two columns. path [T + 1, 2] : e under gradient descent from (1, 1) at the
    rate 1 / lambda_max, e_t = (I - H / lambda_max)^t e_0.
    """

    H: np.ndarray
    path: np.ndarray

    @property
    def condition(self) -> float:
        """lambda_max / lambda_min; inf where the smaller one is not told from rounding."""
        low, high = np.linalg.eigvalsh(self.H)
        return float(high / low) if low > 4 * np.finfo(float).eps * high else float("inf")


def pair_valley(X: np.ndarray, steps: int = PATH) -> PairValley:
    """The valley of two columns X [n, 2].

    Example
    -------
    >>> valley = pair_valley(np.array([[1.0, 10.0], [1.0, -10.0]]), steps=2)
    >>> valley.H.tolist(), round(valley.condition), valley.path.round(2).tolist()
    ([[1.0, 0.0], [0.0, 100.0]], 100, [[1.0, 1.0], [0.99, 0.0], [0.98, 0.0]])
    """
    H = X.T @ X / len(X)
    step = np.eye(2) - H / np.linalg.eigvalsh(H)[-1]
    path = [np.ones(2)]
    for _ in range(steps):
        path.append(step @ path[-1])
    return PairValley(H, np.array(path))


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ScaledInputs(Result):
    """What is known so far; see :func:`scaled_input_stages`.

    Attributes
    ----------
    task : as given. names [d] : of the columns. scaling : fitted on the training part.
    pair : columns of the largest and the smallest spread. before, after : their valley.
    runs : kind -> its run, "none" among them in the end; numbers as in ``feature_scaling_study``.
    """

    task: ScalingTask
    names: tuple[str, ...]
    scaling: Scaling
    pair: tuple[int, int]
    before: PairValley
    after: PairValley
    runs: Mapping[str, Outcome] = field(default_factory=dict)

    def steps(self, kind: str | None = None) -> int | None:
        """Steps to the loss with this kind, that of the task if None; None where it was not reached."""
        numbers = self.runs[kind or self.task.kind].scalars
        return int(numbers["steps"]) if numbers["reached"] else None  # type: ignore[arg-type]

    def losses(self, kind: str | None = None) -> np.ndarray:
        """Training loss after 0, 1, 2, ... steps."""
        return np.asarray(self.runs[kind or self.task.kind].series["loss"])

    def diverges(self, kind: str | None = None) -> bool:
        """The loss ended above the first one, or left the numbers."""
        losses = self.losses(kind)
        return not losses[-1] <= losses[0]

    def to_frame(self) -> pd.DataFrame:
        """One row per run: kind and its numbers."""
        return pd.DataFrame([{"kind": kind, **run.scalars} for kind, run in self.runs.items()])

    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = {"kind": self.task.kind, "rule": self.task.rule}
        found |= {"condition": self.scaling.condition_after}
        return found | ({"steps": self.steps()} if self.task.kind in self.runs else {})


def scaled_inputs(
    make_model: Callable[[], nn.Module],
    loss_fn: Callable[..., Tensor],
    data: tuple[Tensor, Tensor],
    task: ScalingTask | None = None,
    *,
    names: tuple[str, ...] | None = None,
    seed: int = 0,
) -> ScaledInputs:
    """The last of :func:`scaled_input_stages`.

    Example
    -------
    >>> import torch
    >>> X = torch.randn(100, 2, generator=torch.manual_seed(0)).double() * torch.tensor([1.0, 10.0])
    >>> data = X, X @ torch.tensor([[1.0], [0.1]]).double()
    >>> make, mse = lambda: nn.Linear(2, 1).double(), nn.MSELoss()
    >>> found = scaled_inputs(make, mse, data, ScalingTask("z-score", target=1e-3))
    >>> found.steps() < 10, found.steps("none")
    (True, None)
    """
    *_, last = scaled_input_stages(make_model, loss_fn, data, task, names=names, seed=seed)
    return last


def scaled_input_stages(
    make_model: Callable[[], nn.Module],
    loss_fn: Callable[..., Tensor],
    data: tuple[Tensor, Tensor],
    task: ScalingTask | None = None,
    *,
    names: tuple[str, ...] | None = None,
    seed: int = 0,
) -> Iterator[ScaledInputs]:
    """First the columns and the valley, before any training; then the run of this kind; then that of "none".

    The runs are those of :func:`diagkit.feature_scaling_study` with this seed: the same examples are trained
    on, the same initial weights, the scaling fitted on these examples alone.

    Parameters
    ----------
    data : (X [N, d], y). names : of the columns, their numbers if None.

    Raises
    ------
    InputError : fewer than two columns that are not constant, another number of names than columns.
    """
    task = task or ScalingTask()
    check_seed(seed)
    X, y = check_scaling_data(data)
    names = tuple(map(str, range(X.shape[1]))) if names is None else tuple(names)
    if len(names) != X.shape[1]:
        raise InputError(f"{len(names)} names", allowed=f"{X.shape[1]}, one for each column")
    chosen, _ = training_part(len(X), seed)
    scaling = fit_scaling(X[chosen], task.kind)
    varied = np.flatnonzero(~scaling.constant)
    if len(varied) < 2:
        raise InputError(f"{len(varied)} columns that are not constant", allowed="two or more")
    plain = X[chosen].double().cpu().numpy()
    spread = plain[:, varied].std(axis=0)
    pair = int(varied[spread.argmax()]), int(varied[spread.argmin()])
    if pair[0] == pair[1]:  # all spreads are equal
        pair = int(varied[0]), int(varied[1])
    scaled = (plain - scaling.shift) / scaling.scale
    found = ScaledInputs(
        task=task,
        names=names,
        scaling=scaling,
        pair=pair,
        before=pair_valley(plain[:, pair]),
        after=pair_valley(scaled[:, pair]),
        seed=seed,
        complete=False,
    )
    yield found
    kinds = (task.kind,) if task.kind == PLAIN else (task.kind, PLAIN)
    with progress("runs", len(kinds)) as advance:
        for kind in kinds:
            run = _run(make_model, loss_fn, X, y, task, kind, seed)
            if interrupted():
                return
            found = replace(found, runs={**found.runs, kind: run}, complete=kind == PLAIN)
            advance(1)
            yield found


def _run(
    make_model: Callable[[], nn.Module], loss_fn: Any, X: Tensor, y: Tensor, task: ScalingTask, kind: str,
    seed: int,
) -> Outcome:  # fmt: skip
    return scaling_run(
        kind,
        task.rule,
        seed,
        make_model=lambda: made(make_model, seed),
        loss_fn=loss_fn,
        X=X,
        y=y,
        target=task.target,
        lr=task.lr,
        adam_lr=task.adam_lr,
        max_steps=task.max_steps,
    )
