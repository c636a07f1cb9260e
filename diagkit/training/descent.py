r"""The way of an optimizer on a small function: each point, its loss, and its curvature against the limit."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from diagkit.errors import InputError
from diagkit.measure.price import Bill, check_objective
from diagkit.measure.update_rules import update_rule
from diagkit.objective import Objective, check_count, of_model
from diagkit.result import Result
from diagkit.training.run import flat_parameters
from diagkit.training.train_arguments import make_optimizer
from diagkit.work import interrupted, progress

if TYPE_CHECKING:
    import pandas as pd

MOST_PARAMETERS = 100  # the Hessian is made whole at every step
FIRST_STAGE, LONGER = 10, 4  # steps before the first picture; each further one after so many times as many
GONE = 1e12  # times the first loss, or 1 if that is less: the path has left for good


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class DescentPath(Result):
    """Where an optimizer went.

    Attributes
    ----------
    theta [T + 1, P], loss [T + 1] : the points, the start included, and L there.
    lambda_max [T + 1] : the largest eigenvalue of the Hessian. sharpness [T + 1] : what the limit holds for:
        the same, or with Adam, RMSprop, ... that of D^-1/2 H D^-1/2, as in ``stability``.
    limits [T + 1] : stable below it; nan where it is not known, as before the first step of Adam.
    rate : eta. optimizer : its kind. preconditioned : D is not the identity.
    ended_by : "steps", "diverged" (not finite, or a loss of 1e12 times the first) or "interrupted".
    """

    theta: np.ndarray
    loss: np.ndarray
    lambda_max: np.ndarray
    sharpness: np.ndarray
    limits: np.ndarray
    rate: float
    optimizer: str
    preconditioned: bool
    ended_by: str

    @property
    def steps(self) -> int:
        """T."""
        return len(self.loss) - 1

    @property
    def ratios(self) -> np.ndarray:
        """Sharpness over its limit [T + 1]: above 1 the next step is unstable."""
        return self.sharpness / self.limits

    @property
    def diverges(self) -> bool:
        """It has left for good, or the loss ends above the first one and still rises."""
        if self.ended_by == "diverged" or not np.isfinite(self.loss[-1]):
            return True
        return bool(self.steps > 1 and self.loss[-1] > max(self.loss[0], self.loss[-2], self.loss[-3:].min()))

    @property
    def rises(self) -> int:
        """In how many steps the loss rose."""
        with np.errstate(invalid="ignore"):
            return int((~(np.diff(self.loss) <= 0)).sum())

    def steps_to(self, target: float) -> int | None:
        """The first number of steps with a loss of at most ``target``; None where there is none."""
        there = np.flatnonzero(self.loss <= target)
        return int(there[0]) if there.size else None

    def summary(self) -> dict[str, Any]:
        return {
            "optimizer": self.optimizer,
            "rate": self.rate,
            "steps": self.steps,
            "first_loss": float(self.loss[0]),
            "last_loss": float(self.loss[-1]),
            "last_ratio": float(self.ratios[-1]),
            "ended_by": self.ended_by,
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per point, by the number of steps taken."""
        import pandas as pd

        columns = {f"theta_{i + 1}": self.theta[:, i] for i in range(self.theta.shape[1])}
        columns |= {"loss": self.loss, "lambda_max": self.lambda_max, "ratio": self.ratios}
        return pd.DataFrame(columns, index=pd.RangeIndex(len(self.loss), name="step"))


def descent_path(
    obj: Objective,
    optimizer: Callable[[list[torch.nn.Parameter]], torch.optim.Optimizer],
    *,
    start: Any = None,
    steps: int = 100,
) -> DescentPath:
    r"""Full-batch steps of an optimizer on a copy of the model, with the curvature at every point.

    On a quadratic L = (1/2) theta^T H theta plain gradient descent goes

    .. math:: \theta_t = (I - \eta H)^t\,\theta_0,

    so that it converges exactly where eta < 2 / lambda_max (Cohen et al. 2021, arXiv:2103.00065). For
    networks use ``dk.train`` with a ``CurvatureTracker``: here the whole Hessian is made at every step.

    Parameters
    ----------
    optimizer : a function of the parameters that returns one, as for ``dk.train``.
    start : theta_0 [P]; where the objective stands if None.

    Raises
    ------
    InputError : more than 100 parameters, an optimizer that is no function or needs a closure, a start of
        another shape or not finite.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> valley = dk.clinic.valley("quadratic")  # L = (w1^2 + 10 w2^2) / 2
    >>> sgd = lambda parameters: torch.optim.SGD(parameters, lr=0.19)
    >>> path = dk.descent_path(valley.objective(), sgd, start=[1.0, 1.0], steps=3)
    >>> path.theta.round(3).tolist()  # factors 1 - 0.19 and 1 - 1.9
    [[1.0, 1.0], [0.81, -0.9], [0.656, 0.81], [0.531, -0.729]]
    >>> (path.rate * path.lambda_max).round(9).tolist(), (path.rate * path.limits).tolist()
    ([1.9, 1.9, 1.9, 1.9], [2.0, 2.0, 2.0, 2.0])
    """
    *_, last = descent_stages(obj, optimizer, start=start, steps=steps)
    return last


def descent_stages(
    obj: Objective,
    optimizer: Callable[[list[torch.nn.Parameter]], torch.optim.Optimizer],
    *,
    start: Any = None,
    steps: int = 100,
) -> Iterator[DescentPath]:
    """The beginnings of :func:`descent_path`, after 10, 40, 160, ... steps; the last one is its answer.

    All others are marked ``complete=False``. Arguments and errors are those of :func:`descent_path`.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> obj = dk.clinic.valley("banana").objective()
    >>> sgd = lambda parameters: torch.optim.SGD(parameters, lr=0.01)
    >>> [path.steps for path in dk.descent_stages(obj, sgd, steps=100)]
    [10, 40, 100]
    """
    check_objective(obj)
    check_count("steps", steps, write="100")
    if obj.num_params > MOST_PARAMETERS:
        raise InputError(
            f"P = {obj.num_params} parameters",
            allowed=f"P <= {MOST_PARAMETERS}: the whole Hessian is made at every step",
            write="dk.train(..., callbacks=[dk.CurvatureTracker(...)])",
        )
    if isinstance(optimizer, torch.optim.Optimizer):
        raise InputError(
            f"an {type(optimizer).__name__} of parameters of its own",
            allowed="a function that makes one for the copy that is moved",
            write="lambda parameters: torch.optim.SGD(parameters, lr=0.1)",
        )
    twin = of_model(obj, copy.deepcopy(obj.model))
    twin.apply(obj.theta if start is None else start)
    return _walk(twin, optimizer, int(steps))


def _walk(twin: Objective, make: Any, steps: int) -> Iterator[DescentPath]:
    named = dict(twin.model.named_parameters())
    parameters: Any = [named[name] for name in twin.layout.names]
    optimizer, _ = make_optimizer(make, parameters)
    if isinstance(optimizer, torch.optim.LBFGS):
        raise InputError("LBFGS, which needs a closure", allowed="an optimizer with step()")
    rows: list[tuple[Any, ...]] = []
    bill, due, seen = Bill(twin), FIRST_STAGE, False

    def so_far(ended_by: str) -> DescentPath:
        theta, loss, largest, sharpness, limits = (np.array(column) for column in zip(*rows, strict=True))
        return DescentPath(
            theta=theta,
            loss=loss,
            lambda_max=largest,
            sharpness=sharpness,
            limits=limits,
            rate=float(optimizer.param_groups[0]["lr"]),
            optimizer=type(optimizer).__name__,
            preconditioned=seen,
            ended_by=ended_by,
            complete=ended_by in ("steps", "diverged"),
            **bill.paid(),
        )

    with progress("steps", steps) as advance:
        while True:
            here = flat_parameters(parameters).to(twin.layout.device)
            gradient, row, preconditioned = _look(twin, here, optimizer)
            rows.append((here.double().cpu().numpy(), *row))
            seen |= preconditioned
            gone = gradient is None or not abs(row[0]) <= GONE * max(1.0, abs(rows[0][1]))
            if gradient is None or gone or len(rows) > steps or interrupted():
                yield so_far("diverged" if gone else "steps" if len(rows) > steps else "interrupted")
                return
            if len(rows) > due:
                due *= LONGER
                yield so_far("under way")
            for name, part in twin.layout.split(gradient).items():
                named[name].grad = part.clone()
            optimizer.step()
            advance(1)


def _look(
    twin: Objective, theta: Tensor, optimizer: torch.optim.Optimizer
) -> tuple[Tensor | None, tuple[float, ...], bool]:
    """The gradient (None if it is not finite); loss, lambda_max, sharpness, limit; is D another than 1?"""
    nan = np.nan
    with twin.quiet():
        loss = twin.loss(theta)
        if not np.isfinite(loss):
            return None, (loss, nan, nan, nan), False
        gradient, H = twin.gradient(theta), twin.hessian(theta).double().cpu()
    if not bool(torch.isfinite(gradient).all() and torch.isfinite(H).all()):
        return None, (loss, nan, nan, nan), False
    largest = float(torch.linalg.eigvalsh(H)[-1])
    try:
        rule = update_rule(twin, optimizer)
    except InputError:  # no limit is known, or not before the first step
        return gradient, (loss, largest, nan, nan), False
    root, penalty = rule.root.double().cpu(), rule.penalty.double().cpu()
    scaled = root[:, None] * (rule.sign * H + torch.diag(penalty)) * root
    sharpness = float(torch.linalg.eigvalsh(scaled)[-1]) if bool(torch.isfinite(scaled).all()) else nan
    return gradient, (loss, largest, sharpness, rule.limit), rule.preconditioned
