r"""Extreme eigenpairs of a symmetric operator known only through products, each with its residual.

Lanczos with full reorthogonalization in float64 over a Krylov decomposition. For a Ritz pair (theta, x) of a
symmetric H, some eigenvalue lies within the residual rho = ||H x - theta x|| of theta (Parlett, The
Symmetric Eigenvalue Problem, ch. 4).

One starting vector sees one copy of a repeated eigenvalue. Where the space closes on itself (an invariant
subspace, the sign of repeated eigenvalues) a new round begins from a random vector in the complement and
finds the next copies. Rounds end when the last one brought nothing beyond the wanted ends: later
complements lie inside its own, so they cannot either. A space that never closed is marked so, and its
values are *distinct* ones. In float64 the wanted ends must survive a few more products after they have
converged, which catches a space that is about to close and a copy that is about to appear; spaces of up to 64
dimensions are exhausted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diagkit.spectral.decomposition import KrylovDecomposition
from diagkit.spectral.krylov import Matvec, RitzPairs, rounding_bound
from diagkit.work import interrupted, progress

EXHAUST = 64  # so few dimensions that certainty is cheaper than a bound
# The remainder, as a fraction of ||H||, below which the space counts as closed. Rounding is amplified on
# the way there (4e-11 was seen in float64), hence the floor; in float32 a closed space hides in noise. In
# half precision the rounding bound would make every remainder look like noise, hence the ceiling.
CLOSED_FLOOR, CLOSED_AT_MOST, CLOSED_ROUNDINGS = 1e-9, 1e-3, 4.0
SPARE_ROWS = 4  # rows beyond the wanted vectors that a bounded basis has at least
MANY = 10_000  # products, where only the memory is bounded
# Residuals fall by about 0.4 digits a product on networks; a look costs as much as a small product.
DIGITS_PER_LOOK, MOST_BLIND = 1.5, 8


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
    most_rows: int | None = None,
    what: str = "eigenvalues: products",
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
    most_rows : vectors [P] in float64 that the basis may hold; beyond them it is compressed to the best Ritz
        vectors and goes on from these (thick restart).
    what : heads the progress bar.
    enough : asked with (lowest value, highest value, rounding) after each product; True ends the search.

    Example
    -------
    >>> d = torch.tensor([3.0, 3.0, 1.0, -2.0], dtype=torch.float64)
    >>> ends = lanczos(lambda v: d * v, 4, num_lowest=1, num_highest=2)
    >>> ends.lowest.values.round(8), ends.highest.values.round(8), ends.multiplicities_seen
    (array([-2.]), array([3., 3.]), True)
    """
    wanted = num_lowest + num_highest
    rows = None if most_rows is None else max(most_rows, wanted + SPARE_ROWS)
    space = KrylovDecomposition(matvec, size, dtype, torch.device(device), seed, rows)
    limit = size if max_products is None and rows is None else (max_products or MANY)
    search = _Search(space, num_lowest, num_highest, tol)
    with progress(what, limit) as advance:
        while space.next is not None and space.num_products < limit:
            if space.full:
                search.compress()
            space.step(search.closed_below)
            advance(1)
            if interrupted():
                search.complete = space.next is None and space.dim == size
                break
            if search.is_over(enough):
                break
            if space.next is None:
                search.new_round()
    return search.ends()


class _Search:
    """When are the wanted ends found? Kept apart from the recurrence."""

    def __init__(self, space: KrylovDecomposition, num_lowest: int, num_highest: int, tol: float) -> None:
        self.space, self.num_lowest, self.num_highest, self.tol = space, num_lowest, num_highest, tol
        self.round_start = 0  # the row where the present round began: the first one at 0
        self.done, self.complete, self.compressed = False, True, False
        self.look_at, self.patience = max(num_lowest, num_highest), -1

    def closed_below(self, norm: float) -> float:
        """The remainder below which the space counts as closed."""
        rounding = CLOSED_ROUNDINGS * rounding_bound(self.space.dtype, norm)
        return min(max(rounding, CLOSED_FLOOR * norm), CLOSED_AT_MOST * norm)

    def is_over(self, enough: Callable[[float, float, float], bool] | None) -> bool:
        """Looks now and then: how often follows from how far convergence is."""
        space, closed = self.space, self.space.next is None
        if not closed and (space.dim < self.look_at and enough is None):
            return False
        ritz = space.ritz()
        if enough is not None and enough(ritz.values[0], ritz.values[-1], space.rounding):
            return True
        left = self.distance(ritz)
        self.look_at = space.dim + 1 + min(int(DIGITS_PER_LOOK * np.log10(max(left, 1.0))), MOST_BLIND)
        self.done = left <= 1 and (
            self._last_round_is_inside(ritz) if closed or self.round_start else len(ritz.values) > 0
        )
        if not self.done:
            self.patience = -1
            return False
        if self.patience < 0:
            self.patience = space.num_products + self.look_ahead()
        sure = closed or self.round_start > 0 or space.num_products >= self.patience
        return sure and (closed or space.size > EXHAUST)

    def look_ahead(self) -> int:
        """Products spent after convergence to see whether the space closes (repeated eigenvalues).

        In less than float64 a closed space hides in rounding: there is nothing to be seen.
        """
        return max(2, self.space.dim // 8) if self.space.dtype == torch.float64 else 0

    def new_round(self) -> None:
        """The space has closed: go on from a random vector in the complement."""
        self.space.restart()
        self.round_start, self.done = self.space.dim, False

    def compress(self) -> None:
        """Make room: keep the wanted ends and half of what is beyond them, as a start for what follows."""
        ritz, wanted = self.space.ritz(), self.num_lowest + self.num_highest
        beyond = (self.space.dim - wanted) // 2
        low = self.num_lowest and self.num_lowest + beyond * self.num_lowest // wanted
        order = np.arange(len(ritz.values))
        kept = wanted + beyond - low
        self.space.compress(ritz, np.r_[order[:low], order[len(order) - kept :]])
        self.compressed, self.round_start, self.look_at = True, 0, 0

    def indices(self, ritz: RitzPairs) -> tuple[np.ndarray, np.ndarray]:
        order = np.arange(len(ritz.values))
        return order[: self.num_lowest], order[::-1][: self.num_highest]

    def tolerances(self, ritz: RitzPairs) -> np.ndarray:
        low, high = self.indices(ritz)
        floors = np.r_[np.full(len(low), ritz.scale), np.full(len(high), ritz.scale / 100)]
        asked = self.tol * np.maximum(np.abs(ritz.values[np.r_[low, high]]), floors)
        return np.maximum(asked, self.space.rounding)

    def distance(self, ritz: RitzPairs) -> float:
        """Largest residual in units of its tolerance; inf where there are too few values yet."""
        if len(ritz.values) < min(max(self.num_lowest, self.num_highest), self.space.size):
            return 1e300
        left = self.space.residuals(ritz, np.r_[self.indices(ritz)])
        return float(np.max(left / np.maximum(self.tolerances(ritz), 1e-300), initial=0.0))

    def _last_round_is_inside(self, ritz: RitzPairs) -> bool:
        """Does the last round reach no further than the wanted ends, up to their tolerance?"""
        last = self.space.ritz(self.round_start)
        low, high = self.indices(ritz)
        slack = max(self.space.rounding, CLOSED_FLOOR * ritz.scale)
        for wanted, extreme, sign in ((low, 0, -1.0), (high, -1, 1.0)):
            if not len(wanted):
                continue
            error = self.space.beta * abs(last.rotation[-1, extreme])
            if error > self.tol * ritz.scale:
                return False  # this round has not found its own extreme yet
            if sign * (last.values[extreme] - ritz.values[wanted[-1]]) > slack:
                return False
        return True

    def ends(self) -> Ends:
        space = self.space
        # Copies are known to be listed where the search ended by itself, or where nothing is left to search.
        settled = self.done and (space.next is None or self.round_start > 0)
        copies = space.dim == space.size or (settled and not self.compressed)
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
            num_products=space.num_products,
            multiplicities_seen=copies,
            complete=self.complete,
        )
