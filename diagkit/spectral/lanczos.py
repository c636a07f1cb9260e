r"""Extreme eigenpairs of a symmetric operator known only through products, each with its residual.

Lanczos with double full reorthogonalization, recurrence in float64. For a Ritz pair (theta, x) of a
symmetric H, some eigenvalue lies within the residual rho = ||H x - theta x|| of theta (Parlett, The
Symmetric Eigenvalue Problem, ch. 4).

One starting vector sees one copy of a repeated eigenvalue. Where the space closes on itself (an invariant
subspace, the sign of repeated eigenvalues) a new round begins from a random vector in the complement and
finds the next copies. Rounds end when the last one brought nothing beyond the wanted ends: later
complements lie inside its own, so they cannot either. A space that never closed is marked so, and its
values are *distinct* ones. The wanted ends must survive a few more products after they have converged, which
catches a space that is about to close and a copy that is about to appear; spaces of up to 64 dimensions are
exhausted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diagkit.spectral.krylov import KrylovSpace, Matvec, RitzPairs
from diagkit.work import interrupted, progress

EXHAUST = 64  # so few dimensions that certainty is cheaper than a bound
# The remainder, as a fraction of ||H||, below which the space counts as closed. Rounding is amplified on
# the way there (4e-11 was seen in float64), hence the floor; in float32 a closed space hides in noise.
CLOSED_FLOOR, CLOSED_ROUNDINGS = 1e-9, 4.0


def _closed_below(space: KrylovSpace) -> float:
    return max(CLOSED_ROUNDINGS * space.rounding, CLOSED_FLOOR * space.norm_seen)


def _look_ahead(dim: int) -> int:
    """Products spent after convergence to see whether the space closes (repeated eigenvalues)."""
    return max(2, dim // 8)


@dataclass(frozen=True)
class Ends:
    """The two ends of a spectrum, most extreme first.

    Attributes
    ----------
    lowest, highest : pairs (values [k], residuals [k], converged [k], vectors [k, P]).
    scale : estimate of ||H||. rounding : what rounding may move an eigenvalue by; part of the residuals.
    multiplicities_seen : repeated eigenvalues are listed as often as they occur. If False copies
        were not looked for, and a value may occur more often than it is listed.
    complete : the search ended by itself and not for lack of time.
    """

    lowest: End
    highest: End
    scale: float
    rounding: float
    num_products: int
    multiplicities_seen: bool
    complete: bool


@dataclass(frozen=True)
class End:
    """One end of a spectrum: values [k], residuals [k], converged [k], vectors [k, P]."""

    values: np.ndarray
    residuals: np.ndarray
    converged: np.ndarray
    vectors: Tensor


def lanczos(
    matvec: Matvec,
    size: int,
    *,
    num_lowest: int = 0,
    num_highest: int = 0,
    tol: float = 1e-3,
    max_products: int | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    seed: int = 0,
    enough: Callable[[float, float, float], bool] | None = None,
) -> Ends:
    """Find the ``num_lowest`` smallest and ``num_highest`` largest eigenvalues of H [P, P].

    A pair at the high end is converged where its residual is at most tol * max(|theta|, ||H|| / 100), at
    the low end, where eigenvalues are often near zero and have no relative accuracy, tol * ||H||. Nobody
    is asked for less than rounding allows.

    Parameters
    ----------
    matvec : v [P] -> H v [P]; H symmetric. dtype : that of the products, which sets the rounding bound.
    max_products : stop after so many, converged or not.
    enough : asked with (lowest value, highest value, rounding) after each product; True ends the search.

    Example
    -------
    >>> d = torch.tensor([3.0, 3.0, 1.0, -2.0], dtype=torch.float64)
    >>> ends = lanczos(lambda v: d * v, 4, num_lowest=1, num_highest=2)
    >>> ends.lowest.values.round(8), ends.highest.values.round(8), ends.multiplicities_seen
    (array([-2.]), array([3., 3.]), True)
    """
    space = KrylovSpace(matvec, size, dtype, torch.device(device), seed)
    limit = size if max_products is None else min(size, max_products)
    wanted = max(num_lowest, num_highest)
    search = _Search(space, num_lowest, num_highest, tol)
    vector, closed, done, round_start, complete = space.fresh(), False, False, 0, True
    patience: int | None = None
    with progress("eigenvalues: products", limit) as advance:
        while vector is not None and space.dim < limit:
            product = space.extend(vector)
            advance(1)
            vector, beta = space.orthogonal(product, _closed_below(space))
            closed = vector is None
            if interrupted():
                complete = closed and space.dim == size
                break
            # Small projected problems are looked at after every product, large ones now and then.
            if closed or (space.dim >= wanted and (space.dim < 80 or space.dim % 8 == 0)):
                ritz = space.ritz()
                if enough is not None and enough(ritz.values[0], ritz.values[-1], space.rounding):
                    break
                done = search.is_done(ritz, beta, round_start, closed)
                sure = closed or round_start > 0 or (patience is not None and space.dim >= patience)
                if done and sure and (closed or size > EXHAUST):
                    break
                if not done:
                    patience = None
                elif patience is None:
                    patience = space.dim + _look_ahead(space.dim)
            if closed:
                round_start, vector, done = space.dim, space.fresh(), False
    # Copies are known to be listed where the search ended by itself, or where nothing is left to search.
    copies = space.dim == size or (done and (closed or round_start > 0))
    return search.ends(copies, complete)


class _Search:
    """When are the wanted ends found? Kept apart from the recurrence."""

    def __init__(self, space: KrylovSpace, num_lowest: int, num_highest: int, tol: float) -> None:
        self.space, self.num_lowest, self.num_highest, self.tol = space, num_lowest, num_highest, tol

    def indices(self, ritz: RitzPairs) -> tuple[np.ndarray, np.ndarray]:
        order = np.arange(len(ritz.values))
        return order[: self.num_lowest], order[::-1][: self.num_highest]

    def tolerances(self, ritz: RitzPairs) -> np.ndarray:
        low, high = self.indices(ritz)
        floors = np.r_[np.full(len(low), ritz.scale), np.full(len(high), ritz.scale / 100)]
        asked = self.tol * np.maximum(np.abs(ritz.values[np.r_[low, high]]), floors)
        return np.maximum(asked, self.space.rounding)

    def is_done(self, ritz: RitzPairs, beta: float, round_start: int, closed: bool) -> bool:
        if len(ritz.values) < min(max(self.num_lowest, self.num_highest), self.space.num_rows):
            return False
        low, high = self.indices(ritz)
        both = np.r_[low, high]
        allowed = self.tolerances(ritz)
        # The recurrence's own estimate is free; the explicit residual is asked only where it agrees.
        if np.any(beta * np.abs(ritz.rotation[-1, both]) > allowed):
            return False
        if np.any(self.space.residuals(ritz, both) > allowed):
            return False
        if round_start == 0 and not closed:
            return True  # distinct values; nothing hints at copies
        return self._last_round_is_inside(ritz, beta, round_start)

    def _last_round_is_inside(self, ritz: RitzPairs, beta: float, round_start: int) -> bool:
        """Does the last round reach no further than the wanted ends, up to their tolerance?"""
        last = self.space.ritz(round_start)
        low, high = self.indices(ritz)
        slack = max(self.space.rounding, CLOSED_FLOOR * ritz.scale)
        for wanted, extreme, sign in ((low, 0, -1.0), (high, -1, 1.0)):
            if not len(wanted):
                continue
            error = beta * abs(last.rotation[-1, extreme])
            if error > self.tol * ritz.scale:
                return False  # this round has not found its own extreme yet
            if sign * (last.values[extreme] - ritz.values[wanted[-1]]) > slack:
                return False
        return True

    def ends(self, closed: bool, complete: bool) -> Ends:
        space = self.space
        ritz = space.ritz()
        low, high = self.indices(ritz)
        allowed = self.tolerances(ritz)
        residuals = space.residuals(ritz, np.r_[low, high])
        converged = residuals <= allowed
        reported = residuals + space.rounding
        cut = len(low)

        def end(chosen: np.ndarray, part: slice) -> End:
            vectors = space.combine(ritz.rotation[:, chosen])
            return End(ritz.values[chosen], reported[part], converged[part], vectors)

        return Ends(
            lowest=end(low, slice(None, cut)),
            highest=end(high, slice(cut, None)),
            scale=ritz.scale,
            rounding=space.rounding,
            num_products=space.dim,
            multiplicities_seen=closed,
            complete=complete,
        )
