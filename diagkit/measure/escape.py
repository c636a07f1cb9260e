"""Step off a saddle along its negative curvature, and compare the drop with the prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from diagkit.errors import InputError
from diagkit.measure.critical_points import CriticalPoint, classify_critical_point
from diagkit.measure.price import Bill, check_objective
from diagkit.measure.probes import loss_noise, steps_for
from diagkit.objective import Objective
from diagkit.result import Result
from diagkit.work import interrupted

MAX_DOUBLINGS = 100  # from 1e-22, where the loss is 0, to 1e8
PICTURE = 16  # further points, so that the line can be drawn
DROP_LIMIT = 1e-3  # stop doubling where a further step gains less than this share of the drop so far


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Escape(Result):
    r"""A line search along +-v, v the direction of most negative curvature.

    Attributes
    ----------
    loss_before, loss_after : L at the saddle and at ``theta`` [P].
    predicted_loss : L + t g.v + (1/2) t^2 v^T H v at the step taken, t = ``step`` (signed).
    curvature : v^T H v. escaped : a step lowered the loss; otherwise theta is the starting point.
    t [n], loss [n], predicted [n] : the line that was searched, in ascending t.
    """

    loss_before: float
    loss_after: float
    predicted_loss: float
    step: float
    curvature: float
    escaped: bool
    theta: np.ndarray
    direction: np.ndarray
    t: np.ndarray
    loss: np.ndarray
    predicted: np.ndarray
    explanation: str

    def summary(self) -> dict[str, Any]:
        return {
            "loss_before": self.loss_before,
            "loss_after": self.loss_after,
            "predicted_loss": self.predicted_loss,
            "step": self.step,
            "curvature": self.curvature,
        }


def escape_saddle(obj: Objective, point: CriticalPoint | None = None, *, seed: int = 0) -> Escape:
    """Follow the most negative curvature, both ways, as far as the loss keeps falling.

    Steps double from one at which the predicted drop is just visible above rounding. Without proven
    negative curvature nothing is tried: ``escaped`` is False and ``explanation`` says why.

    Parameters
    ----------
    point : the classification of this very point, if it is at hand; it saves the products.

    Raises
    ------
    InputError : ``point`` belongs to a model of another size.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> net = torch.nn.Sequential(*(torch.nn.Linear(1, 1, bias=False) for _ in range(2))).double()
    >>> for p in net.parameters():
    ...     _ = torch.nn.init.zeros_(p)
    >>> x = torch.ones(4, 1)
    >>> escape = dk.escape_saddle(dk.Objective(net, torch.nn.MSELoss(), (x, x)))  # L = (1 - w1 w2)^2 at 0
    >>> escape.loss_before, round(escape.loss_after, 2) < 0.2, escape.escaped
    (1.0, True, True)
    """
    check_objective(obj)
    bill = Bill(obj)
    if point is None:
        point = classify_critical_point(obj, seed=seed)
    if not isinstance(point, CriticalPoint):
        raise InputError(f"point of type {type(point).__name__}", allowed="a CriticalPoint, or None")
    if point.theta.shape != (obj.num_params,):
        raise InputError(
            f"a point with {point.theta.size} parameters",
            allowed=f"one with P = {obj.num_params}",
            write="escape_saddle(obj)",
        )
    here = obj.at(point.theta)
    before, theta = here.loss(), here.theta
    curvature = float(point.smallest.values[0])
    v = torch.as_tensor(point.smallest.vectors[0], device=theta.device).to(theta)
    slope = float(here.gradient() @ v)
    line = {0.0: before}
    proven = curvature < -point.smallest.rounding
    if proven:
        first = float(steps_for(here, curvature, loss_noise(here))[1])
        for sign in (1.0, -1.0):
            line |= _follow(here, theta, sign * v, before, first, sign)
        if best := min(line, key=lambda x: (not np.isfinite(line[x]), line[x])):
            line |= {
                float(x): here.loss(theta + float(x) * v) for x in np.linspace(-best, best, PICTURE) * 1.3
            }
    t = np.array(sorted(line))
    loss = np.array([line[x] for x in t])
    best = int(np.nanargmin(loss))
    predicted = before + slope * t + 0.5 * curvature * t**2
    escaped = bool(proven and loss[best] < before)
    return Escape(
        loss_before=before,
        loss_after=float(loss[best]),
        predicted_loss=float(predicted[best]),
        step=float(t[best]),
        curvature=curvature,
        escaped=escaped,
        theta=(theta + float(t[best]) * v).double().cpu().numpy(),
        direction=v.double().cpu().numpy(),
        t=t,
        loss=loss,
        predicted=predicted,
        explanation=_words(proven, escaped, curvature, before, float(loss[best]), float(predicted[best])),
        complete=point.complete and not interrupted(),
        seed=seed,
        **bill.paid(),
    )


def _follow(
    obj: Objective, theta: torch.Tensor, v: torch.Tensor, before: float, first: float, sign: float
) -> dict[float, float]:
    """Double the step while that pays, then look between the last points."""
    seen: dict[float, float] = {}

    def at(length: float) -> float:
        seen[sign * length] = obj.loss(theta + length * v)
        return seen[sign * length]

    length, best = first, before
    for _ in range(MAX_DOUBLINGS):
        if interrupted():
            return seen
        value = at(length)
        if not value < best - DROP_LIMIT * (before - best):
            break
        best, length = value, 2 * length
    # The minimum of the line lies between half and four times the best step: parabola-free refinement.
    low, high = length / 4, length
    for _ in range(8):
        a, b = low + (high - low) * 0.382, low + (high - low) * 0.618
        if at(a) < at(b):
            high = b
        else:
            low = a
    return seen


def _words(
    proven: bool, escaped: bool, curvature: float, before: float, after: float, predicted: float
) -> str:
    if not proven:
        return (
            f"No negative curvature was proven here (lowest value {curvature:.2g}): nothing to escape along."
        )
    if not escaped:
        return f"The curvature {curvature:.2g} is negative, but no finite step along it lowered the loss."
    return (
        f"One step along the curvature {curvature:.3g} lowered the loss from {before:.4g} to {after:.4g}; "
        f"the parabola, which knows no end, predicts {predicted:.4g} there."
    )
