"""Walk to a critical point near here: Newton-MR, or minimization of the gradient norm."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from scipy.optimize import minimize

from diagkit.errors import InputError
from diagkit.measure.critical_points import CriticalPoint, classify_critical_point
from diagkit.measure.price import Bill, check_objective, finite_gradient
from diagkit.objective import Objective, check_count, check_positive
from diagkit.spectral import newton_step
from diagkit.work import interrupted, progress

Method = Literal["newton-mr", "gradient-norm"]
ARMIJO = 1e-4
SHORTEST = 2.0**-20


def find_critical_point(
    obj: Objective,
    *,
    method: Method = "newton-mr",
    max_iters: int = 100,
    gradient_tol: float = 1e-5,
    seed: int = 0,
) -> CriticalPoint:
    r"""From theta to a nearby point where the gradient vanishes, whatever its kind; then classify it.

    "newton-mr" (Roosta et al. 2018, arXiv:1810.00303): p = argmin ||H p + g|| of smallest norm, then
    backtracking until ||g(theta + a p)||^2 <= ||g||^2 + 2 c a p^T H g. "gradient-norm": L-BFGS on
    (1/2)||g||^2, whose gradient is H g. Both can end where H g = 0 but g is not: the verdict is then
    "gradient-flat", never a made-up minimum.

    Returns
    -------
    CriticalPoint at the end, with ``theta`` [P] and ``gradient_norms``, one per iteration.

    Raises
    ------
    InputError : an unknown method, max_iters below 1.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> net = torch.nn.Linear(2, 1)
    >>> X, y = torch.randn(8, 2, generator=torch.manual_seed(0)), torch.ones(8, 1)
    >>> dk.find_critical_point(dk.Objective(net.double(), torch.nn.MSELoss(), (X, y))).verdict
    'minimum-within-tolerance'
    """
    check_objective(obj)
    if method not in ("newton-mr", "gradient-norm"):
        raise InputError(f"method={method!r}", allowed="'newton-mr' or 'gradient-norm'")
    check_count("max_iters", max_iters)
    check_positive("gradient_tol", gradient_tol, write="1e-5")
    finite_gradient(obj)
    bill = Bill(obj)
    search = _newton_mr if method == "newton-mr" else _gradient_norm
    theta, norms, complete = search(obj, max_iters, gradient_tol)
    point = classify_critical_point(obj.at(theta), gradient_tol=gradient_tol, seed=seed)
    return replace(point, gradient_norms=np.array(norms), complete=complete and point.complete, **bill.paid())


def _small_enough(norm: float, scale: float, gradient_tol: float) -> bool:
    """A hundredth of what classification allows, so that its verdict does not hang on the last digit."""
    return norm <= 0.01 * gradient_tol * scale


def _newton_mr(obj: Objective, max_iters: int, gradient_tol: float) -> tuple[torch.Tensor, list[float], bool]:
    theta = obj.theta
    gradient = obj.batch_gradients(theta, mean=True)[0]
    norms = [float(gradient.norm())]
    dtype = obj.layout.dtype
    with progress("critical point: Newton steps", max_iters) as advance:
        for _ in range(max_iters):
            if interrupted():
                return theta, norms, False
            with obj.products(theta) as products:
                newton = newton_step(
                    products.matvec, gradient, max_products=min(obj.num_params, 100), tol=1e-4, dtype=dtype
                )
            if _small_enough(norms[-1], newton.norm, gradient_tol):
                break
            slope = float(gradient @ newton.product)  # p^T H g, negative where p helps
            found = None
            length = 1.0
            while slope < 0 and length >= SHORTEST:
                trial = theta + length * newton.step.to(theta)
                candidate = obj.batch_gradients(trial, mean=True)[0]
                norm = float(candidate.norm())
                if np.isfinite(norm) and norm**2 <= norms[-1] ** 2 + 2 * ARMIJO * length * slope:
                    found = (trial, candidate, norm)
                    break
                length /= 2
            if found is None:
                break  # no step lowers the gradient: at rounding, or flat
            theta, gradient = found[0], found[1]
            norms.append(found[2])
            advance(1)
    return theta, norms, True


def _gradient_norm(
    obj: Objective, max_iters: int, gradient_tol: float
) -> tuple[torch.Tensor, list[float], bool]:
    norms: list[float] = []
    complete = True

    def half_square(x: np.ndarray) -> tuple[float, np.ndarray]:
        theta = torch.as_tensor(x)
        g = obj.batch_gradients(theta, mean=True)[0]
        with obj.products(theta) as products:
            slope = products.matvec(g)
        return 0.5 * float(g @ g), slope.double().cpu().numpy()

    def after(x: np.ndarray) -> None:
        nonlocal complete
        norms.append(float(obj.batch_gradients(torch.as_tensor(x), mean=True)[0].norm()))
        advance(1)
        if interrupted():
            complete = False
            raise StopIteration

    start = obj.theta.double().cpu().numpy()
    with progress("critical point: L-BFGS steps", max_iters) as advance:
        result = minimize(
            half_square,
            start,
            jac=True,
            method="L-BFGS-B",
            callback=after,
            options={"maxiter": max_iters, "ftol": 0.0, "gtol": 0.0, "maxcor": 20},
        )
    return torch.as_tensor(result.x), norms, complete
