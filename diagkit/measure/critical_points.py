"""What kind of place is this? Gradient, both ends of the spectrum, finite steps, one verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from diagkit.measure.price import Bill, check_objective, finite_gradient
from diagkit.measure.probes import Walk, loss_noise, steps_for, walk
from diagkit.measure.spectrum import Eigenpairs, eigenpairs, spectrum_ends
from diagkit.measure.verdict_words import explain
from diagkit.objective import Objective, check_positive
from diagkit.result import Result
from diagkit.spectral import Recurrence, newton_step

FULL_SPECTRUM = 200  # parameters up to which all eigenvalues are found, so that the index is exact
FLAT_RESIDUAL = 0.9  # Frye et al. 2021 (arXiv:2003.10397): above it the point is gradient-flat
NULL_STEPS = np.geomspace(1e-3, 3e-1, 6)  # lengths along directions without curvature
DRIFT = 10.0  # third derivatives up to so many times ||H|| per unit length are allowed for
FAILURE = 0.01  # probability allowed to "no curvature below"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class CriticalPoint(Result):
    """The verdict on a point, and the numbers behind it.

    Attributes
    ----------
    verdict : "not-critical", "gradient-flat", "saddle", "maximum", "minimum-within-tolerance",
        "degenerate" or "undecided".
    loss, gradient_norm : at the point.
    smallest, largest : Eigenpairs at both ends of the spectrum.
    index : number of negative eigenvalues where all were computed (P <= 200), else None.
    none_below, none_above : no curvature lies outside, each but for ``failure_probability`` over the random
        start of the search (0 where all were computed); rounding is taken off. Infinite where the search
        found its own bound wrong.
    newton_residual : ||H p + g|| / (||H|| ||p|| + ||g||) at the Newton step, nan at critical points.
    theta : the point [P]. explanation : what is proven, what is probable, what is unknown.
    """

    verdict: str
    loss: float
    gradient_norm: float
    smallest: Eigenpairs
    largest: Eigenpairs
    index: int | None
    none_below: float
    newton_residual: float
    explanation: str
    theta: np.ndarray
    gradient_norms: np.ndarray = field(default_factory=lambda: np.zeros(0))
    none_above: float = float("nan")
    failure_probability: float = FAILURE

    def summary(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "loss": self.loss,
            "gradient_norm": self.gradient_norm,
            "smallest": float(self.smallest.values[0]),
            "largest": float(self.largest.values[0]),
            "num_hvps": self.num_hvps,
        }


@dataclass(frozen=True)
class Facts:
    """What was measured, before anyone judges."""

    loss: float
    gradient_norm: float
    critical: bool
    lowest: float
    highest: float
    zero: float  # curvatures within +-zero have no sign
    none_below: float
    none_above: float
    failure_probability: float  # of each of the two bounds; 0 where all eigenvalues were computed
    num_products: int  # that the bounds rest on
    asymmetry: float
    asymmetry_allowed: float
    converged: bool
    newton_residual: float = float("nan")
    unexplained: float = float("nan")
    down: Walk | None = None  # along the most negative curvature
    flat: tuple[Walk, ...] = ()  # along directions without curvature


def classify_critical_point(
    obj: Objective,
    *,
    gradient_tol: float = 1e-5,
    tol: float = 1e-3,
    max_hvps: int | None = None,
    seed: int = 0,
) -> CriticalPoint:
    r"""Is theta a critical point, and of which kind?

    Critical where ||grad L|| <= gradient_tol * ||H||: the Newton step is shorter than ``gradient_tol``
    even along the steepest curvature. (Relative to the curvature, so that the scale of the loss does not
    matter; an absolute ||grad L||^2 < 1e-10 is Frye et al. 2019.) A sign of curvature is claimed only
    beyond rounding, a negative one is proven by v^T H v < 0, confirmed by a finite step; its absence is
    probable, as in :func:`certify_no_curvature_below`. Away from critical points the Newton step decides
    between "gradient-flat" (the gradient lies where H is near zero) and "not-critical". Products that
    contradict H = H^T leave the verdict undecided.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> class Saddle(torch.nn.Module):  # L = w1 w2 at 0, eigenvalues -1 and 1
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.w = torch.nn.Parameter(torch.zeros(2))
    ...     def forward(self, x):
    ...         return self.w.prod() + 0 * x
    >>> obj = dk.Objective(Saddle(), lambda out, y: out.mean(), (torch.ones(4), torch.ones(4)))
    >>> dk.classify_critical_point(obj).verdict
    'saddle'
    """
    check_objective(obj)
    check_positive("gradient_tol", gradient_tol, write="1e-5")
    bill = Bill(obj)
    count = obj.num_params if obj.num_params <= FULL_SPECTRUM else 1
    gradient = finite_gradient(obj)
    seen = Recurrence(obj.num_params, obj.fixed.precision)
    ends = spectrum_ends(obj, count, count, tol=tol, max_hvps=max_hvps, seed=seed, observe=seen.observe)
    smallest = eigenpairs(ends, "smallest", {"num_hvps": 0, "num_evals": 0, "seconds": 0.0}, seed)
    largest = eigenpairs(ends, "largest", {"num_hvps": 0, "num_evals": 0, "seconds": 0.0}, seed)
    facts = _measure(obj, gradient, smallest, largest, gradient_tol, seen)
    verdict = judge(facts)
    index = int((smallest.values < -facts.zero).sum()) if len(smallest.values) == obj.num_params else None
    return CriticalPoint(
        verdict=verdict,
        loss=facts.loss,
        gradient_norm=facts.gradient_norm,
        smallest=smallest,
        largest=largest,
        index=index,
        none_below=facts.none_below,
        none_above=facts.none_above,
        failure_probability=facts.failure_probability,
        newton_residual=facts.newton_residual,
        explanation=explain(verdict, facts, index),
        theta=obj.theta.double().cpu().numpy(),
        complete=ends.complete,
        seed=seed,
        **bill.paid(),
    )


def _measure(
    obj: Objective,
    gradient: torch.Tensor,
    smallest: Eigenpairs,
    largest: Eigenpairs,
    gradient_tol: float,
    seen: Recurrence,
) -> Facts:
    loss, norm, scale = obj.loss(), float(gradient.norm()), smallest.scale
    eps = torch.finfo(obj.fixed.precision).eps
    # No sign for curvature below the rounding of the products; below the rounding of the loss over a unit
    # step; or so small that the way left to the critical point, ||g|| / ||H||, could turn it.
    zero = max(smallest.rounding, eps * abs(loss), DRIFT * min(norm, gradient_tol * scale))
    lowest, highest = float(smallest.values[0]), float(largest.values[0])
    every = len(smallest.values) == obj.num_params
    if every:
        bounds = lowest - float(smallest.residuals[0]), highest + float(largest.residuals[0])
    else:
        low, high = seen.lower_bound(FAILURE), seen.upper_bound(FAILURE)
        bounds = low if lowest >= low - zero else -np.inf, high if highest <= high + zero else np.inf
    facts: dict[str, Any] = {
        "loss": loss,
        "gradient_norm": norm,
        "critical": norm <= max(gradient_tol * scale, eps * abs(loss)),
        "lowest": lowest,
        "highest": highest,
        "zero": zero,
        "none_below": bounds[0],
        "none_above": bounds[1],
        "failure_probability": 0.0 if every else FAILURE,
        "num_products": seen.num_products,
        "asymmetry": seen.asymmetry,
        "asymmetry_allowed": seen.asymmetry_allowed,
        "converged": bool(smallest.converged[0] and largest.converged[0]),
    }
    if not facts["critical"]:
        with obj.products() as products:
            newton = newton_step(
                products.matvec,
                gradient,
                norm=scale,
                cutoff=zero,
                max_products=min(60, obj.num_params),
                dtype=obj.layout.dtype,
            )
        return Facts(**facts, newton_residual=newton.relative_residual, unexplained=newton.unexplained)
    noise = loss_noise(obj)
    if lowest < -zero:
        direction = torch.as_tensor(smallest.vectors[0], device=gradient.device)
        slope = float(direction.to(gradient) @ gradient)
        facts["down"] = walk(obj, direction, steps_for(obj, lowest, noise), slope, noise)
    if lowest >= -zero or highest <= zero:  # not settled by the signs of both ends
        facts["flat"] = _flat_walks(obj, gradient, smallest, zero, noise)
    return Facts(**facts)


def _flat_walks(
    obj: Objective, gradient: torch.Tensor, smallest: Eigenpairs, zero: float, noise: float
) -> tuple[Walk, ...]:
    """Walks along directions in which the Hessian sees nothing: known ones, and random mixtures."""
    flat = smallest.vectors[np.abs(smallest.values) <= zero]
    if not len(flat):
        return ()
    rng = np.random.default_rng(0)
    if smallest.scale <= zero:  # everything is flat
        mixtures = rng.standard_normal((6, obj.num_params))
    else:
        mixtures = rng.standard_normal((6, len(flat))) @ flat
    rows = np.vstack([flat[:6], mixtures / np.linalg.norm(mixtures, axis=1, keepdims=True)])
    directions = torch.as_tensor(rows, device=gradient.device)
    return tuple(walk(obj, d, NULL_STEPS, float(d.to(gradient) @ gradient), noise) for d in directions)


def judge(facts: Facts) -> str:
    """From facts to verdict; kept free of measuring and of words."""
    if facts.asymmetry > facts.asymmetry_allowed:
        return "undecided"
    if not facts.critical:
        return "gradient-flat" if facts.newton_residual > FLAT_RESIDUAL else "not-critical"
    negative, positive = facts.lowest < -facts.zero, facts.highest > facts.zero
    if not negative and not positive:
        return "degenerate"
    if negative and facts.down is not None and not facts.down.descends:
        return "undecided"  # the loss does not follow its own curvature: a kink
    if negative and positive:
        return "saddle"
    if not facts.converged:
        return "undecided"
    if negative:
        flat_top = facts.highest >= -facts.zero
        return "degenerate" if flat_top and any(w.climbs for w in facts.flat) else "maximum"
    return "degenerate" if any(w.descends for w in facts.flat) else "minimum-within-tolerance"
