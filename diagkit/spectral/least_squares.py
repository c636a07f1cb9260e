r"""The Newton step min_p ||H p + g|| of smallest norm, for an H that may be singular or indefinite.

Works in the Krylov space of g like MINRES-QLP (Choi, Paige and Saunders 2011): with an orthonormal basis V
of span{g, Hg, H^2 g, ...} and the products W = H V, solve min_y ||W^T y + g|| by singular values, leaving
out directions in which H is zero to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diagkit.spectral.krylov import KrylovSpace, Matvec
from diagkit.work import interrupted

STUCK_AFTER = 8  # products without progress after which the rest counts as lying in the kernel


@dataclass(frozen=True)
class NewtonStep:
    """p [P], H p [P], and how much of the gradient it explains.

    Attributes
    ----------
    relative_residual : r = ||H p + g|| / (||H|| ||p|| + ||g||), near 1 where g lies in the kernel of H.
    unexplained : ||H p + g|| / ||g||, the share of g that no step removes.
    curvature : p^T H p. norm : largest ||H v|| seen, a lower bound of ||H||.
    """

    step: Tensor
    product: Tensor
    relative_residual: float
    unexplained: float
    curvature: float
    norm: float
    num_products: int


def newton_step(
    matvec: Matvec,
    gradient: Tensor,
    *,
    norm: float | None = None,
    tol: float = 1e-3,
    max_products: int = 100,
    dtype: torch.dtype = torch.float64,
    cutoff: float | None = None,
) -> NewtonStep:
    """Minimize ||H p + g||; stop when it is below tol * ||g||, no longer falls, or products are spent.

    Parameters
    ----------
    matvec : v [P] -> H v [P]. gradient : g [P].
    norm : ||H|| if known; cutoff : directions with |H| below it count as flat (default: rounding).

    Example
    -------
    >>> d = torch.tensor([2.0, -1.0, 0.0], dtype=torch.float64)
    >>> newton = newton_step(lambda v: d * v, torch.tensor([2.0, 1.0, 0.0], dtype=torch.float64))
    >>> [round(x, 6) for x in newton.step.tolist()], round(newton.unexplained, 6)
    ([-1.0, 1.0, 0.0], 0.0)
    >>> newton_step(lambda v: d * v, torch.tensor([0.0, 0.0, 3.0], dtype=torch.float64)).relative_residual
    1.0
    """
    space = KrylovSpace(matvec, gradient.numel(), dtype, gradient.device, seed=0)
    g = gradient.to(space.wide)
    size = float(g.norm())
    vector, _ = space.orthogonal(g)
    y: np.ndarray = np.zeros(0)
    lefts = [size]
    while vector is not None and space.dim < min(max_products, gradient.numel()):
        product = space.extend(vector)
        vector, beta = space.orthogonal(product, space.rounding)
        # In the basis, g = ||g|| e_1 and W = [T; beta e_m^T]: a small least-squares problem.
        tall = np.vstack([space.projected, np.zeros((1, space.dim))])
        tall[-1, -1] = beta if vector is not None else 0.0
        target = np.zeros(space.dim + 1)
        target[0] = -size
        flat = (cutoff if cutoff is not None else space.rounding) / max(
            float(np.linalg.norm(tall, 2)), 1e-300
        )
        # rcond cannot leave out the largest singular value: where all of H seen is flat, no step helps.
        y = np.linalg.lstsq(tall, target, rcond=flat)[0] if flat < 1 else np.zeros(space.dim)
        lefts.append(float(np.linalg.norm(tall @ y - target)))
        # Done where nothing is left, or where the last products removed nothing: the rest is in the kernel.
        stuck = len(lefts) > STUCK_AFTER and lefts[-1 - STUCK_AFTER] - lefts[-1] < tol * size
        if lefts[-1] < tol * size or stuck or interrupted():
            break
    step = space.combine(y[:, None])[0] if y.size else torch.zeros_like(g)
    product = torch.as_tensor(y, device=g.device, dtype=space.wide) @ space.W[: space.dim] if y.size else step
    norm = max(norm or 0.0, space.norm_seen)
    rest = float((product + g).norm())
    return NewtonStep(
        step=step,
        product=product,
        relative_residual=rest / max(norm * float(step.norm()) + size, 1e-300),
        unexplained=rest / max(size, 1e-300),
        curvature=float(step @ product),
        norm=norm,
        num_products=space.dim,
    )
