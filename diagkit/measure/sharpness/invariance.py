"""Which measures of sharpness survive a change of the weights that leaves the network as it is?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from diagkit.errors import InputError
from diagkit.measure.price import Bill, check_objective, finite_gradient
from diagkit.measure.probes import loss_noise
from diagkit.measure.sharpness.measured import Measured
from diagkit.measure.sharpness.normalized_layers import UNCHANGED, holds_normalization, scaled
from diagkit.measure.sharpness.rescaling import normalization_factors, relu_factors
from diagkit.measure.sharpness.sharpness import Sharpness, sharpness
from diagkit.objective import Objective, check_positive
from diagkit.result import Result

if TYPE_CHECKING:
    import pandas as pd

SCALE_FREE = "||w||^2 lambda_max"
TOLERANCE = 0.05
FACTORS: dict[str, tuple[str, Callable[..., dict[str, float]]]] = {
    "relu": ("ReLU rescaling", relu_factors),
    "normalization": ("scale before a normalization", normalization_factors),
}


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class SharpnessInvariance(Result):
    """The measures m at two points of parameter space that are the same network.

    Attributes
    ----------
    measures [m] : their names. ratios [m], ratio_errors [m] : after / before, and the error of that.
    verdicts [m] : "survives": the ratio is 1 within ``tolerance``, its error included. "does not": it is not,
        its error granted. "undecided": the error is too large to say, or the work was ended early.
    before, after : all the numbers. transformation : what was done. factors : of each tensor changed.
    loss_change : |L after - L before|. allowed_change : what rounding explains, and the epsilon inside a
        normalization.
    """

    measures: tuple[str, ...]
    ratios: np.ndarray
    ratio_errors: np.ndarray
    verdicts: tuple[str, ...]
    before: Sharpness
    after: Sharpness
    transformation: str
    factors: dict[str, float]
    tolerance: float
    loss_change: float
    allowed_change: float

    def summary(self) -> dict[str, Any]:
        return {"transformation": self.transformation} | {
            name: f"{verdict} (x {ratio:.4g})"
            for name, verdict, ratio in zip(self.measures, self.verdicts, self.ratios, strict=True)
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per measure: before, after, ratio, its error, verdict."""
        import pandas as pd

        before, after = _measured(self.before), _measured(self.after)
        return pd.DataFrame(
            {
                "before": [before[name].value for name in self.measures],
                "after": [after[name].value for name in self.measures],
                "ratio": self.ratios,
                "ratio_error": self.ratio_errors,
                "verdict": self.verdicts,
            },
            index=pd.Index(self.measures, name="measure"),
        )


def sharpness_invariance(
    obj: Objective,
    transformation: Any = "relu",
    *,
    alpha: float = 10.0,
    layers: Sequence[Any] | None = None,
    tolerance: float = TOLERANCE,
    **options: Any,
) -> SharpnessInvariance:
    r"""Measure the sharpness before and after a rescaling under which the loss does not change.

    Nothing is known beforehand: the transformed point is built, its loss compared, and everything measured
    again there with the same seed. A measure that does not survive says something about the coordinates, not
    about the network (Dinh et al. 2017, arXiv:1703.04933).

    Parameters
    ----------
    transformation : "relu": T_alpha, a layer times alpha and the one after the ReLU by 1 / alpha.
        "normalization": layers before a normalization times alpha. Or the transformed parameters [P].
    alpha : the factor. layers : for "relu" pairs of module names, by default the first pair of a Sequential;
        for "normalization" module names, by default all whose size the loss does not see.
    tolerance : a ratio this close to 1 counts as unchanged. options : those of :func:`sharpness`.

    Raises
    ------
    InputError : no such layers, alpha not positive, a point at which the loss is another.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> _ = torch.manual_seed(0)
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1)).double()
    >>> obj = dk.Objective(net, torch.nn.MSELoss(), (torch.randn(20, 3), torch.randn(20, 1)))
    >>> found = dk.sharpness_invariance(obj, "relu", alpha=4.0)
    >>> dict(zip(found.measures, found.verdicts))  # doctest: +NORMALIZE_WHITESPACE
    {'lambda_max': 'does not', 'trace': 'does not', 'keskar': 'does not', 'sam': 'does not',
     'adaptive': 'survives', 'relative_flatness': 'survives'}
    """
    check_objective(obj)
    check_positive("alpha", alpha, write="10.0")
    check_positive("tolerance", tolerance, write="0.05")
    bill = Bill(obj)
    theta, factors, what = _transformed(obj, transformation, alpha, layers)
    there = obj.at(theta)
    change, allowed = abs(there.loss() - obj.loss()), _explained(obj, there)
    if not change <= allowed:
        raise InputError(
            f"a point at which the loss differs by {change:.3g} ({what})",
            allowed=f"a transformation that leaves the loss as it is; rounding explains {allowed:.3g}",
            write="layers=[...] that are joined by ReLU alone, or an alpha nearer to 1",
        )
    before, after = sharpness(obj, **options), sharpness(there, **options)
    first, second = _measured(before), _measured(after)
    names = [name for name in first if name in second]
    ratios = [_ratio(first[name], second[name]) for name in names]
    return SharpnessInvariance(
        measures=tuple(names),
        ratios=np.array([ratio for ratio, _ in ratios]),
        ratio_errors=np.array([error for _, error in ratios]),
        verdicts=tuple(_verdict(*ratio, tolerance) for ratio in ratios),
        before=before,
        after=after,
        transformation=what,
        factors=factors,
        tolerance=tolerance,
        loss_change=change,
        allowed_change=allowed,
        complete=before.complete and after.complete,
        seed=before.seed,
        **bill.paid(),
    )


def _transformed(
    obj: Objective, transformation: Any, alpha: float, layers: Sequence[Any] | None
) -> tuple[Tensor, dict[str, float], str]:
    """(theta, the factor of each tensor, in words)."""
    if not isinstance(transformation, str):
        return obj.layout.check(transformation, "transformation"), {}, "given parameters"
    if transformation not in FACTORS:
        raise InputError(
            f"transformation={transformation!r}",
            allowed=f"one of {list(FACTORS)}, or the transformed parameters of shape [P]",
            write="transformation='relu'",
        )
    words, find = FACTORS[transformation]
    factors = find(obj, alpha, layers)
    return scaled(obj.layout, obj.theta, factors), factors, f"{words}, alpha = {alpha:g}"


def _explained(obj: Objective, there: Objective) -> float:
    """A change of the loss that says nothing: every parameter rounded once, and a normalization's epsilon."""
    eps, rounding = torch.finfo(obj.fixed.precision).eps, 0.0
    for point in (obj, there):
        gradient = finite_gradient(point)
        rounding += loss_noise(point) + 4 * eps * float((gradient * point.theta.to(gradient)).abs().sum())
    return rounding + (UNCHANGED * abs(obj.loss()) if holds_normalization(obj.model) else 0.0)


def _measured(found: Sharpness) -> dict[str, Measured]:
    more = {SCALE_FREE: found.normalized.largest} if found.normalized.names else {}
    return found.measures | more


def _ratio(before: Measured, after: Measured) -> tuple[float, float]:
    """After / before, and an error that covers it: two standard errors where there are some."""
    ratio, error = after.ratio_to(before)
    error *= 2.0 if after.kind == "sem" else 1.0
    return ratio, error if before.complete and after.complete else float("inf")


def _verdict(ratio: float, error: float, tolerance: float) -> str:
    off = abs(ratio - 1.0)
    if off + error <= tolerance:
        return "survives"
    return "does not" if off - error > tolerance else "undecided"
