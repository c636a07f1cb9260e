"""The loss along a line through theta: its curvature here, and the barrier on the way to another point."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from diagkit.errors import InputError
from diagkit.measure.price import Bill, check_objective, finite_gradient
from diagkit.measure.surface.barrier import UNKNOWN, barrier
from diagkit.measure.surface.checkpoint import theta_of
from diagkit.measure.surface.coordinates import centred, check_grid, towards
from diagkit.measure.surface.directions import (
    checked_direction,
    downhill,
    extreme_eigenvectors,
    filter_normalized,
)
from diagkit.measure.surface.points import evaluating
from diagkit.objective import Objective, check_seed
from diagkit.result import Result
from diagkit.work import progress

if TYPE_CHECKING:
    import pandas as pd

BETWEEN = "between two points"
ROUNDINGS = 20  # of the dtype, as a share of the largest loss: a difference of losses below is no difference
HOLDS_WITHIN = 0.1  # of the range of the parabola


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class LineSlice(Result):
    r"""loss[i] = L(theta + t[i] d).

    Attributes
    ----------
    t [n] : displacement in units of the direction's length. loss [n] : NaN or Inf as found.
    direction [P]. kind : "random, filter-normalized", "given", "gradient" (downhill), "lowest curvature",
        "highest curvature", or "between two points".
    slope, curvature : g^T d and d^T H d at t = 0, from one gradient and one product; NaN where not asked for.
    rounding : differences of the loss below it say nothing.
    barrier : with ``to``, the largest L(t) - ((1 - t) L(0) + t L(1)) over the sampled t in [0, 1], NaN where
        that cannot be said. barrier_at : its t. barrier_interval : (low, high); low is proved up to rounding,
        high estimates what was missed between the samples.
    """

    t: np.ndarray
    loss: np.ndarray
    direction: np.ndarray
    kind: str
    slope: float = float("nan")
    curvature: float = float("nan")
    rounding: float = 0.0
    barrier: float = float("nan")
    barrier_at: float = float("nan")
    barrier_interval: tuple[float, float] = (float("nan"), float("nan"))

    @property
    def verdict(self) -> str:
        """Between two points: "barrier", claimed only above its error, "no barrier seen", or "undecided"."""
        if self.kind != BETWEEN:
            return ""
        low, high = self.barrier_interval
        if low > 0:
            return "barrier"
        return "no barrier seen" if np.isfinite(high) else "undecided"

    @property
    def parabola(self) -> np.ndarray | None:
        """L(0) + slope t + (1/2) curvature t^2 at each t [n]: what first and second derivatives foretell."""
        at_zero = np.flatnonzero(self.t == 0.0)
        if not (np.isfinite(self.curvature) and at_zero.size and np.isfinite(self.loss[at_zero[0]])):
            return None
        return self.loss[at_zero[0]] + self.slope * self.t + 0.5 * self.curvature * self.t**2

    @property
    def parabola_holds_to(self) -> float | None:
        """The largest sampled |t| up to which the parabola is within 10 % of its own range, None without one.

        Compared at each r is the largest |L - parabola| over |t| <= r with the range of the parabola over
        the same t, not with that of the picture: the answer does not hang on the extent, nor on the units of
        L and t. 0 where it fails at once; the last |t| means "at least".
        """
        predicted = self.parabola
        if predicted is None:
            return None
        order = np.argsort(np.abs(self.t), kind="stable")
        far, error, values = np.abs(self.t)[order], np.abs(self.loss - predicted)[order], predicted[order]
        worst = np.maximum.accumulate(np.where(np.isnan(error), np.inf, error))
        spread = np.maximum.accumulate(values) - np.minimum.accumulate(values)
        # Both sides of one |t| stand or fall together.
        last = np.searchsorted(far, far * (1 + 1e-9), side="right") - 1
        holds = worst[last] <= HOLDS_WITHIN * spread[last] + self.rounding
        return float(far[-1] if holds.all() else far[max(0, int(np.argmin(holds)) - 1)])

    def summary(self) -> dict[str, Any]:
        facts: dict[str, Any] = {
            "kind": self.kind,
            "t": [self.t[0], self.t[-1]],
            "loss": [np.nanmin(self.loss), np.nanmax(self.loss)] if np.isfinite(self.loss).any() else None,
            "not_finite": int((~np.isfinite(self.loss)).sum()),
        }
        if self.parabola is not None:
            holds = self.parabola_holds_to
            facts |= {"slope": self.slope, "curvature": self.curvature, "parabola_holds_to": holds}
        if self.kind == BETWEEN:
            facts |= {"verdict": self.verdict, "barrier": self.barrier, "barrier_at": self.barrier_at}
            facts |= {"barrier_interval": self.barrier_interval}
        return facts | {"num_evals": self.num_evals}

    def to_frame(self) -> pd.DataFrame:
        """One row per t: t, loss, and the parabola where it was asked for."""
        import pandas as pd

        columns = {"t": self.t, "loss": self.loss}
        return pd.DataFrame(columns if self.parabola is None else columns | {"parabola": self.parabola})


def loss_line(
    obj: Objective,
    direction: Any = None,
    *,
    to: Any = None,
    extent: float = 1.0,
    resolution: int = 51,
    parabola: bool = False,
    n_jobs: int = 1,
    seed: int = 0,
) -> LineSlice:
    r"""L(theta + t d) for t from -extent to extent, or from theta to another point.

    Parameters
    ----------
    direction : [P], used unchanged; None or "random" draws a filter-normalized one; "gradient" is downhill,
        -g / ||g||; "lowest" and "highest" are unit eigenvectors of the extreme curvatures.
    to : another point, a vector [P], an Objective, a module or a state_dict: d = to - theta and t runs from 0
        to ``extent``, so that t = 1 is ``to``; then the barrier on the way is measured (see ``verdict``).
    parabola : also slope and curvature along d at t = 0, for one gradient and one product.
    n_jobs : processes that evaluate, see :func:`diagkit.measure.surface.points.evaluating`.

    Raises
    ------
    InputError : both ``direction`` and ``to``, a wrong shape, NaN, extent <= 0, resolution < 3; "gradient"
        where it is 0.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> net = torch.nn.Linear(1, 1, bias=False).double()
    >>> obj = dk.Objective(net, torch.nn.MSELoss(), (torch.ones(2, 1), torch.zeros(2, 1))).at([0.0])
    >>> line = dk.loss_line(obj, [1.0], extent=2.0, resolution=5, parabola=True)  # L = w^2
    >>> line.t.tolist(), line.loss.tolist(), line.slope, line.curvature, line.parabola_holds_to
    ([-2.0, -1.0, 0.0, 1.0, 2.0], [4.0, 1.0, 0.0, 1.0, 4.0], 0.0, 2.0, 2.0)
    >>> dk.loss_line(obj, to=[3.0]).verdict  # convex: nowhere above the chord
    'no barrier seen'
    """
    check_objective(obj)
    check_grid(extent, resolution)
    check_seed(seed)
    if direction is not None and to is not None:
        raise InputError("both direction and to", allowed="one of them", write="loss_line(obj, to=theta2)")
    bill = Bill(obj)
    if to is not None:
        d, kind, random = theta_of(obj, to) - obj.theta, BETWEEN, False
        t = towards(extent, resolution)
    else:
        d, kind, random = line_direction(obj, direction, seed)
        t = centred(extent, resolution)
    slope, curvature = slope_and_curvature(obj, d) if parabola else (float("nan"), float("nan"))
    loss = losses_along(obj, d, t, n_jobs)
    done = len(loss)
    loss = np.concatenate([loss, np.full(resolution - done, np.nan)])
    sizes = np.abs(loss[np.isfinite(loss)])
    rounding = ROUNDINGS * torch.finfo(obj.fixed.precision).eps * float(sizes.max(initial=0.0))
    found = UNKNOWN if to is None else barrier(t, loss, rounding)
    return LineSlice(
        t=t,
        loss=loss,
        direction=d.double().cpu().numpy(),
        kind=kind,
        slope=slope,
        curvature=curvature,
        rounding=rounding,
        barrier=found.height,
        barrier_at=found.at,
        barrier_interval=found.interval,
        complete=done == resolution,
        seed=seed if random else None,
        **bill.paid(),
    )


def line_direction(obj: Objective, direction: Any, seed: int) -> tuple[Tensor, str, bool]:
    """The direction [P], its kind, and whether it hangs on the seed."""
    if direction is None or (isinstance(direction, str) and direction == "random"):
        return filter_normalized(obj, seed), "random, filter-normalized", True
    if not isinstance(direction, str):
        return checked_direction(obj, direction), "given", False
    if direction == "gradient":
        return downhill(obj), "gradient", False
    if direction not in ("lowest", "highest"):
        allowed = "None, 'random', 'gradient', 'lowest', 'highest', or a direction of shape [P]"
        raise InputError(f"direction={direction!r}", allowed=allowed, write="direction='lowest'")
    low, high = extreme_eigenvectors(obj, seed)
    return (low if direction == "lowest" else high), f"{direction} curvature", True


def slope_and_curvature(obj: Objective, d: Tensor) -> tuple[float, float]:
    """g^T d and d^T H d at theta, summed in float64."""
    with obj.products(expected=1) as products:
        bend = products.matvec(d).cpu().double()
    wide = d.cpu().double()
    return float(finite_gradient(obj).cpu().double() @ wide), float(bend @ wide)


def losses_along(obj: Objective, d: Tensor, t: np.ndarray, n_jobs: int) -> np.ndarray:
    """L(theta + t d) [r] for the first r of ``t`` [n]; r < n where the work was ended early."""
    with (
        progress("line: evaluations", len(t)) as advance,
        evaluating(obj, obj.theta, [d], n_jobs=n_jobs) as losses_at,
    ):
        return losses_at(t[:, None], advance)
