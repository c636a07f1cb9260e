"""Look for an eigenvalue below -eps until one is proven, or excluded but for a stated probability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diagkit.spectral.krylov import KrylovSpace, Matvec
from diagkit.spectral.recurrence import Recurrence
from diagkit.work import interrupted, progress


@dataclass(frozen=True)
class NegativeCurvature:
    """What the search ended with.

    Attributes
    ----------
    proven : v^T H v < -eps beyond rounding. excluded : nothing below -eps, but for the stated probability.
    vector [P] : the unit vector v of the lowest curvature found, ``value`` = v^T H v.
    lowest [m], bounds [m] : after each product, the lowest curvature found and the value below which there
        is none, but for the stated probability. Both only improve, except that a bound which a later product
        contradicts ends as -inf.
    recurrence : the tridiagonal matrix, rounding and symmetry of the products. whole : the space was filled,
        so that the bound is certain. complete : False where time ran out.
    """

    proven: bool
    excluded: bool
    value: float
    vector: Tensor
    lowest: np.ndarray
    bounds: np.ndarray
    recurrence: Recurrence
    whole: bool
    complete: bool


def negative_curvature(
    matvec: Matvec,
    size: int,
    eps: float,
    *,
    failure_probability: float = 0.01,
    max_products: int | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> NegativeCurvature:
    """Is there a curvature below -eps? Lanczos from one random start, orthogonality kept.

    It ends with a proof, with an exclusion, where rounding hides the answer, where the products contradict
    symmetry, or after ``max_products``.

    Example
    -------
    >>> d = torch.linspace(0, 1, 500, dtype=torch.float64)
    >>> found = negative_curvature(lambda v: d * v, 500, 0.05)
    >>> found.excluded, found.proven, len(found.bounds) < 40
    (True, False, True)
    >>> d[0] = -0.5
    >>> found = negative_curvature(lambda v: d * v, 500, 0.05)
    >>> found.proven, round(float(found.vector @ (d * found.vector)), 3) == round(found.value, 3)
    (True, True)
    """
    space = KrylovSpace(matvec, size, dtype, torch.device(device), seed)
    seen = Recurrence(size, dtype)
    limit = size if max_products is None else min(size, max_products)
    lowest: list[float] = []
    bounds: list[float] = []
    vector, complete = space.fresh(), True
    with progress("negative curvature: products", limit) as advance:
        while vector is not None and space.dim < limit:
            product = space.extend(vector)
            seen.observe(vector, product)
            advance(1)
            vector, _ = space.orthogonal(product, space.rounding)
            lowest.append(float(seen.ritz_values()[0]))
            bounds.append(max([*bounds[-1:], seen.lower_bound(failure_probability)]))
            if lowest[-1] < bounds[-1]:  # the start was one of the rare ones: it excludes nothing
                bounds[-1] = -np.inf
            if _is_settled(seen, eps, lowest[-1], bounds[-1]):
                break
            if interrupted():
                complete = vector is None
                break
    ritz = space.ritz()
    value = float(ritz.values[0])
    symmetric = seen.is_symmetric
    return NegativeCurvature(
        proven=symmetric and value < -eps - seen.rounding,
        excluded=symmetric and bounds[-1] >= -eps,
        value=value,
        vector=space.combine(ritz.rotation[:, :1])[0],
        lowest=np.array(lowest),
        bounds=np.array(bounds),
        recurrence=seen,
        whole=seen.num_products >= size,
        complete=complete,
    )


def _is_settled(seen: Recurrence, eps: float, lowest: float, bound: float) -> bool:
    if not seen.is_symmetric or lowest < -eps - seen.rounding or bound >= -eps:
        return True
    # Found and excluded meet up to rounding, on both sides of -eps: more products bring no answer.
    return lowest - bound <= 2 * seen.rounding
