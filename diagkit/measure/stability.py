r"""Is the learning rate stable for the curvature? Sharpness against the optimizer's limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from diagkit.errors import InputError
from diagkit.measure.operator_ends import operator_ends
from diagkit.measure.price import Bill, check_objective
from diagkit.measure.spectrum import Eigenpairs
from diagkit.measure.update_rules import UpdateRule, update_rule
from diagkit.objective import Objective, check_count, check_positive, check_seed
from diagkit.result import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Stability(Result):
    """Sharpness beside the largest curvature that the optimizer's next step bears.

    Attributes
    ----------
    sharpness : largest eigenvalue of D^-1/2 (H + w) D^-1/2, see :func:`stability`. residual : an eigenvalue
        lies within it; ``sharpness`` itself is a lower bound but for rounding. converged : residual <= tol.
    limit : stable below it. ratio, ratio_error : sharpness / limit and its error.
    preconditioned : D is not the identity: ``sharpness`` is not the Hessian's own.
    optimizer : its kind.
    """

    sharpness: float
    residual: float
    converged: bool
    rounding: float
    limit: float
    preconditioned: bool
    optimizer: str

    @property
    def ratio(self) -> float:
        return self.sharpness / self.limit

    @property
    def ratio_error(self) -> float:
        return self.residual / self.limit

    @property
    def verdict(self) -> str:
        """ "above" the limit (proven), "below" (nothing larger was found), or "undecided"."""
        if self.sharpness - self.rounding > self.limit:
            return "above"
        return "below" if self.converged and self.sharpness + self.residual < self.limit else "undecided"

    def summary(self) -> dict[str, Any]:
        return {
            "verdict": f"{self.verdict} the limit" if self.verdict != "undecided" else self.verdict,
            "sharpness": self.sharpness,
            "residual": self.residual,
            "limit": self.limit,
            "ratio": self.ratio,
            "optimizer": self.optimizer,
            "num_hvps": self.num_hvps,
        }

    def to_frame(self) -> pd.DataFrame:
        """One row: sharpness, residual, limit, ratio, its error."""
        import pandas as pd

        names = ("sharpness", "residual", "limit", "ratio", "ratio_error")
        return pd.DataFrame([{name: getattr(self, name) for name in names}], index=[self.optimizer])


def stability(
    obj: Objective,
    optimizer: torch.optim.Optimizer,
    *,
    largest: Eigenpairs | None = None,
    tol: float = 1e-3,
    max_hvps: int | None = None,
    seed: int = 0,
) -> Stability:
    r"""Largest eigenvalue of :math:`D^{-1/2} (H + w) D^{-1/2}` against the optimizer's stability limit.

    H is the Hessian of L = (1/N) sum_n l_n, w the L2 penalty in the optimizer; D is 1 for SGD and the root
    of the second moments, as they stand, for Adam, AdamW, RMSprop and Adagrad. Limits for a learning rate
    eta: gradient descent 2 / eta; momentum (2 + 2 beta) / eta; Nesterov (2 + 2 beta) / (eta (1 + 2 beta));
    Adam (2 + 2 beta_1) / ((1 - beta_1) eta), as if its steps so far were many. All of them, and weight decay
    and ``maximize``, are derived in ``measure/update_rules.py``. Groups with other rates enter D, relative to
    the largest rate; parameters that the optimizer does not move count for nothing.

    On a quadratic the step diverges exactly above the limit. On a network a ratio above 1 means that the loss
    is about to rise along one direction, not that training fails: at the edge of stability it stays near 1
    for long (Cohen et al. 2021, arXiv:2103.00065; 2022, arXiv:2207.14484). With minibatches the full-batch
    sharpness may stay below the limit for good.

    Parameters
    ----------
    optimizer : that of the very model in ``obj``; read only. With ``params=[...]`` in the objective only that
        block is asked, whose sharpness is at most that of the whole.
    largest : ``hessian_eigenvalues`` at this very point; spares the products where D = 1.
    tol, max_hvps, seed : as in ``hessian_eigenvalues``.

    Raises
    ------
    InputError : an optimizer without a known limit, one of another model, one without second moments yet,
        groups of different momentum.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> model = torch.nn.Linear(1, 1, bias=False)
    >>> data = torch.tensor([[2.0]]), torch.zeros(1, 1)
    >>> obj = dk.Objective(model, torch.nn.MSELoss(), data)  # L = (2 w)^2, H = 8
    >>> dk.stability(obj, torch.optim.SGD(model.parameters(), lr=0.5))
    Stability(verdict=above the limit, sharpness=8, residual=1.526e-05, limit=4, ratio=2, optimizer=SGD,
    num_hvps=1)
    """
    check_objective(obj)
    check_positive("tol", tol, write="1e-3")
    check_count("max_hvps", max_hvps, optional=True)
    check_seed(seed)
    if largest is not None and not (isinstance(largest, Eigenpairs) and largest.which == "largest"):
        raise InputError(
            f"largest = {largest!r}", allowed="dk.hessian_eigenvalues(obj) at this point, or None"
        )
    bill, rule = Bill(obj), update_rule(obj, optimizer)
    numbers = _shifted(rule, largest) or _measured(obj, rule, tol, max_hvps, seed)
    return Stability(
        **numbers,
        limit=rule.limit,
        preconditioned=rule.preconditioned,
        optimizer=rule.optimizer,
        seed=seed,
        **bill.paid(),
    )


def _shifted(rule: UpdateRule, largest: Eigenpairs | None) -> dict[str, Any]:
    """The numbers from a known spectrum, empty where it does not tell."""
    shift = rule.shift()
    if largest is None or shift is None:
        return {}
    return {
        "sharpness": float(largest.values[0]) + shift,
        "residual": float(largest.residuals[0]),
        "converged": bool(largest.converged[0]),
        "rounding": largest.rounding,
        "complete": largest.complete,
    }


def _measured(
    obj: Objective, rule: UpdateRule, tol: float, max_hvps: int | None, seed: int
) -> dict[str, Any]:
    with obj.products() as products:
        operator = rule.operator(products.matvec)
        ends = operator_ends(obj, operator, 0, 1, tol=tol, max_products=max_hvps, seed=seed)
    return {
        "sharpness": float(ends.highest.values[0]),
        "residual": float(ends.highest.residuals[0]),
        "converged": bool(ends.highest.converged[0]),
        "rounding": ends.rounding,
        "complete": ends.complete,
    }


def has_limit(obj: Objective, optimizer: torch.optim.Optimizer) -> bool:
    """Is a finite limit known for this optimizer as it stands?"""
    try:
        return bool(np.isfinite(update_rule(obj, optimizer).limit))
    except InputError:
        return False
