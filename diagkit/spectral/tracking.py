r"""The largest eigenpairs of an operator that has changed a little since they were last found.

Lanczos, started from the sum of the old eigenvectors instead of a random vector, with explicit residuals as
the only test. After as many products as there are old vectors the space holds nearly what it held before, and
few more bring it up to date. (On digits networks a block of starts, and keeping further Ritz vectors, took
more products.)

What is found is an eigenvalue within its residual. That no larger one was overlooked is less certain than
from a random start: a direction that the old vectors do not see and that overtakes them has only the noise in
the start to grow from. So start afresh now and then. Copies of a repeated eigenvalue are not looked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diagkit.spectral.krylov import KrylovSpace, Matvec, RitzPairs
from diagkit.work import interrupted

NOISE = 0.3  # length of the random part of a start of length 1: costs no product, sees new directions


@dataclass(frozen=True)
class Tracked:
    """The k largest eigenpairs as found this time, most positive first.

    Attributes
    ----------
    values [k], residuals [k], converged [k] : an eigenvalue lies within the residual of each value.
    vectors [k, P] : unit rows; the start of the next time.
    num_products : products spent. complete : not ended for lack of time.
    """

    values: np.ndarray
    residuals: np.ndarray
    converged: np.ndarray
    vectors: Tensor
    num_products: int
    complete: bool


def follow(
    matvec: Matvec,
    size: int,
    k: int,
    start: Tensor | None = None,
    *,
    tol: float = 1e-2,
    max_products: int = 30,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> Tracked:
    """Find the k largest eigenpairs of H [P, P] again, from those of an operator nearby.

    Parameters
    ----------
    matvec : v [P] -> H v [P]; H symmetric. dtype : that of the products, which sets the rounding bound.
    k : 1 <= k <= P. start [k, P] : ``vectors`` of the last time; None starts from a random vector.
    tol : converged where ||H x - theta x|| <= tol * max(|theta|, ||H|| / 100), ||H|| as seen so far.
    max_products : no more than so many, converged or not; at least k.
    seed : of all random numbers.

    Example
    -------
    >>> d = torch.linspace(0.0, 1.0, 100, dtype=torch.float64) ** 8
    >>> first = follow(lambda v: d * v, 100, 1)
    >>> again = follow(lambda v: 1.1 * d * v, 100, 1, first.vectors)
    >>> again.values.round(3), again.num_products < first.num_products
    (array([1.1]), True)
    """
    space = KrylovSpace(matvec, size, dtype, torch.device(device), seed)
    limit, complete = min(max(max_products, k), size), True
    vector = _start(space, start)
    while vector is not None and space.dim < limit:
        product = space.extend(vector)
        if space.dim >= k and bool(_top(space, space.ritz(), k, tol)[2].all()):
            break
        if space.dim >= k and interrupted():
            complete = False
            break
        vector, _ = space.orthogonal(product, space.rounding)
        if vector is None:  # an invariant subspace: what else there is lies outside of it
            vector = space.fresh()
    ritz = space.ritz()
    chosen, residuals, converged = _top(space, ritz, k, tol)
    vectors = space.combine(ritz.rotation[:, chosen])
    return Tracked(ritz.values[chosen], residuals + space.rounding, converged, vectors, space.dim, complete)


def _start(space: KrylovSpace, old: Tensor | None) -> Tensor | None:
    fresh = space.fresh()
    if old is None or fresh is None:
        return fresh
    mixed = old.to(space.device, space.wide).sum(dim=0)
    mixed = mixed / mixed.norm() + NOISE * fresh
    return mixed / mixed.norm()


def _top(
    space: KrylovSpace, ritz: RitzPairs, k: int, tol: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices [k] of the largest Ritz values, largest first, their residuals, and which are small enough."""
    chosen = np.arange(len(ritz.values))[::-1][:k]
    residuals = space.residuals(ritz, chosen)
    asked = tol * np.maximum(np.abs(ritz.values[chosen]), ritz.scale / 100)
    return chosen, residuals, residuals <= np.maximum(asked, space.rounding)
