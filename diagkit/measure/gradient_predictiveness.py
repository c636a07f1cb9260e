"""How far does the gradient foretell the loss? Loss and gradient along the gradient step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from diagkit.errors import InputError
from diagkit.measure.price import Bill, check_objective, finite_gradient
from diagkit.objective import Objective, check_count, check_positive
from diagkit.result import Result
from diagkit.work import interrupted, progress

if TYPE_CHECKING:
    import pandas as pd

SHORTEST, LONGEST = 0.5, 4.0  # steps looked at, in units of the learning rate


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class GradientPredictiveness(Result):
    r"""Loss and gradient at theta - eta g, g the gradient at theta, for k step sizes eta.

    Attributes
    ----------
    step_sizes [k] : eta. losses [k], loss : L(theta - eta g), and L(theta).
    gradient_changes [k] : |g(theta - eta g) - g|. gradient_norm : |g|.
    rounding : relative rounding of losses and gradients, from the coarsest dtype in which they are computed.
        What is not finite is kept so; NaN where the work was ended before.
    """

    step_sizes: np.ndarray
    losses: np.ndarray
    loss: float
    gradient_changes: np.ndarray
    gradient_norm: float
    rounding: float

    @property
    def decrease_ratios(self) -> np.ndarray:
        """(L(theta) - L(theta - eta g)) / (eta |g|^2) [k]: 1 where the loss falls as the gradient says."""
        return (self.loss - self.losses) / (self.step_sizes * self.gradient_norm**2)

    @property
    def relative_changes(self) -> np.ndarray:
        """|g(theta - eta g) - g| / |g| [k]: 0 where the gradient stays as it is."""
        return self.gradient_changes / self.gradient_norm

    @property
    def smoothness(self) -> float:
        """The effective smoothness max |g(theta - eta g) - g| / (eta |g|), in units of curvature.

        A lower bound on the Lipschitz constant of the gradient; inf where a gradient is not finite.
        """
        known = self.gradient_changes[~np.isnan(self.losses)]
        if known.size and not np.isfinite(known).all():
            return float("inf")
        return float(np.nanmax(self.relative_changes / self.step_sizes, initial=-np.inf))

    @property
    def smoothness_error(self) -> float:
        """What rounding of two gradients makes of :attr:`smoothness`, at most."""
        return float(2 * self.rounding / self.step_sizes.min())

    @property
    def loss_range(self) -> tuple[float, float]:
        """Lowest and highest loss along the step."""
        return float(np.nanmin(self.losses)), float(np.nanmax(self.losses))

    def summary(self) -> dict[str, Any]:
        return {
            "smoothness": self.smoothness,
            "smoothness_error": self.smoothness_error,
            "loss": self.loss,
            "loss_range": list(self.loss_range),
            "largest_relative_change": float(np.nanmax(self.relative_changes)),
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per step size."""
        import pandas as pd

        columns = {"loss": self.losses, "decrease_ratio": self.decrease_ratios}
        columns |= {"gradient_change": self.gradient_changes, "relative_change": self.relative_changes}
        return pd.DataFrame(columns, index=pd.Index(self.step_sizes, name="step_size"))


def gradient_predictiveness(obj: Objective, lr: float, *, num_steps: int = 8) -> GradientPredictiveness:
    r"""Walk along the gradient step and see how much loss and gradient vary (Santurkar et al. 2018,
    arXiv:1805.11604).

    At theta - eta g, for ``num_steps`` values of eta spaced evenly from lr / 2 to 4 lr. Where curvature is
    small against 1 / eta, the loss falls by eta |g|^2 and the gradient stays. Batch normalization is said to
    make it so; compare objectives with ``norm_stats="batch"``, at matched points of the runs, over several
    seeds: rescaling the weights in front of a normalization rescales the gradient, and with it every number
    here.

    Parameters
    ----------
    lr : the learning rate in use.

    Raises
    ------
    InputError : a learning rate that is not positive, fewer than 2 steps, a gradient of exactly 0.
    NonFiniteError : a gradient at theta that is not finite.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> w = torch.nn.Linear(1, 1, bias=False)
    >>> _ = w.weight.data.fill_(3.0)
    >>> X, half = torch.full((4, 1), 2.0), lambda out, y: ((out - y) ** 2).mean() / 2  # L = (1/2) 4 w^2
    >>> found = dk.gradient_predictiveness(dk.Objective(w, half, (X, 0 * X)), lr=0.05, num_steps=2)
    >>> round(found.smoothness, 4), found.decrease_ratios.round(4)  # 4, and 1 - 4 eta / 2 at eta = 0.025, 0.2
    (4.0, array([0.95, 0.6 ]))
    """
    check_objective(obj)
    check_positive("lr", lr, write="0.1")
    check_count("num_steps", num_steps, least=2)
    bill = Bill(obj)
    gradient = finite_gradient(obj)
    norm = float(gradient.norm())
    if norm == 0:
        raise InputError("a gradient of exactly 0", allowed="a point where there is a step to take")
    etas = np.linspace(SHORTEST, LONGEST, num_steps) * float(lr)
    losses, changes = np.full((2, num_steps), np.nan)
    complete = True
    with progress("along the gradient", num_steps) as advance:
        for i, eta in enumerate(etas):
            if i and interrupted():
                complete = False
                break
            theta = (obj.theta - eta * gradient).to(obj.layout.dtype)
            losses[i] = obj.loss(theta)
            changes[i] = float((obj.batch_gradients(theta, mean=True)[0] - gradient).norm())
            advance(1)
    return GradientPredictiveness(
        step_sizes=etas,
        losses=losses,
        loss=obj.loss(),
        gradient_changes=changes,
        gradient_norm=norm,
        rounding=float(torch.finfo(obj.fixed.precision).eps),
        complete=complete,
        **bill.paid(),
    )
