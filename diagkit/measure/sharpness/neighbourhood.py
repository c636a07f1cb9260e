r"""The points around theta among which the highest loss is sought: theta + M s, s in a unit ball or cube.

Keskar's box, the ball of SAM and the ellipsoid of ASAM differ in the map M and in which unit set s lies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from diagkit.measure.price import finite_gradient
from diagkit.measure.sharpness.measured import Measured, Passes
from diagkit.objective import Objective


@dataclass(frozen=True)
class Start:
    """Where the searches begin: the loss, its gradient [P] in float64, and changes that are rounding."""

    loss: float
    gradient: Tensor
    rounding: float

    @classmethod
    def of(cls, obj: Objective, rounding: float) -> Start:
        return cls(obj.loss(), finite_gradient(obj), rounding)


@dataclass(frozen=True)
class Neighbourhood:
    """theta + M s for s [d]. ``into`` : s -> M s [P]; ``back`` : its transpose, [P] -> [d]; both linear."""

    obj: Objective
    start: Start
    into: Callable[[Tensor], Tensor]
    back: Callable[[Tensor], Tensor]

    def rise(self, s: Tensor) -> float:
        """L(theta + M s) - L(theta); inf where the loss is not finite."""
        rise = self.obj.loss(self._at(s)) - self.start.loss
        return rise if np.isfinite(rise) else float("inf")

    def slope(self, s: Tensor) -> Tensor:
        """Gradient of :meth:`rise` [d]."""
        return self.back(self.obj.batch_gradients(self._at(s), mean=True)[0])

    def slope_at_start(self) -> Tensor:
        """The same at s = 0, which costs nothing."""
        return self.back(self.start.gradient)

    def _at(self, s: Tensor) -> Tensor:
        return self.obj.theta.to(self.start.gradient) + self.into(s)


@dataclass(frozen=True)
class Search:
    """How one search for the highest loss ended. ``rise`` : at ``s``. ``complete`` : not interrupted."""

    rise: float
    s: Tensor
    complete: bool = True


@dataclass(frozen=True, eq=False, repr=False)
class HighestLoss(Measured):
    r"""How much higher the loss is at the highest point found nearby: a lower bound of the maximum.

    Attributes
    ----------
    first_order, second_order : g.e and (1/2) e^T H e at the point theta + e found; with :attr:`beyond` they
        add up to the value. How much of it is gradient and how much curvature.
    linear_model : the maximum if the loss were linear, exactly.
    quadratic_bound : what the maximum cannot exceed if the loss were quadratic; NaN where not known.
    one_step : the rise after one step along the gradient, SAM's own estimate; NaN where not taken.
    searches : the rise at which each search ended.
    """

    first_order: float = float("nan")
    second_order: float = float("nan")
    linear_model: float = float("nan")
    quadratic_bound: float = float("nan")
    one_step: float = float("nan")
    searches: tuple[float, ...] = ()

    @property
    def beyond(self) -> float:
        """The part of the value that neither gradient nor curvature at theta explains."""
        return self.value - self.first_order - self.second_order


def highest(
    hood: Neighbourhood,
    searches: Sequence[Search],
    expected: int,
    passes: Passes,
    *,
    linear_model: float,
    quadratic_bound: float = float("nan"),
    one_step: float = float("nan"),
    unit: float = 1.0,
) -> HighestLoss:
    """The best of the searches, of which there should be ``expected``, taken apart, in units of ``unit``."""
    rises = sorted((search.rise for search in searches), reverse=True)
    best = max(searches, key=lambda search: search.rise)
    parts = (0.0, 0.0)  # where nothing nearby is higher, the highest point is theta itself
    if best.rise > 0 and np.isfinite(best.rise):
        e = hood.into(best.s)
        with hood.obj.products(expected=1) as H:
            parts = float(hood.start.gradient @ e), 0.5 * float(e @ H.matvec(e).to(e))
    apart = rises[0] - rises[1] if len(rises) > 1 and np.isfinite(rises[0]) else float("inf")
    return HighestLoss(
        unit * max(best.rise, 0.0),
        unit * max(apart, hood.start.rounding),
        "lower bound",
        int(passes),
        complete=len(searches) == expected and all(search.complete for search in searches),
        first_order=unit * parts[0],
        second_order=unit * parts[1],
        linear_model=unit * linear_model,
        quadratic_bound=unit * quadratic_bound,
        one_step=unit * one_step,
        searches=tuple(unit * search.rise for search in searches),
    )
