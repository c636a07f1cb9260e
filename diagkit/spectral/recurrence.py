r"""What a run of Lanczos knows about eigenvalues it has *not* found.

After k products the next basis vector is p_k(H) b, where p_k(x) = prod_j (x - theta_j) / (beta_1 ... beta_k)
over the k Ritz values. It has unit length, so every eigenpair (lambda, u) obeys |p_k(lambda)| |b.u| <= 1.
Where the random start b has a component |b.u| >= tau along the lowest u (all but a probability delta, see
:mod:`diagkit.spectral.certificates`) its eigenvalue cannot lie where |p_k| > 1 / tau: below the point x under
the lowest Ritz value with

    sum_j log(theta_j - x) = log(1 / tau) + sum_j log(beta_j)

(van Dorsselaer, Hochstenbach and van der Vorst 2000, SIAM J. Matrix Anal. Appl. 22). Unlike the bound of
Kuczynski and Wozniakowski this needs no knowledge of the spread of the spectrum, tightens as the run
converges, and holds after each product on the same event, so that one may stop when it suffices. Rounding
counts as a perturbation of H: it is taken off the bound, and no beta counts as smaller.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import eigvalsh_tridiagonal
from torch import Tensor

from diagkit.spectral.certificates import smallest_share
from diagkit.spectral.krylov import rounding_bound

# A next vector differs from what is left of the product by what reorthogonalization removed: rounding (0.2 of
# the bound at most, on networks). By more, it is no next one but a new start, or follows a restart.
REMOVED = 2.0
# |u.Hv - v.Hu| takes the rounding of two products.
TWO_PRODUCTS = 2.0


class Recurrence:
    """An observer of the products (v, H v) of a run of Lanczos from a random start.

    It keeps three vectors. Where the run leaves the recurrence (a second start, a restart), what was known of
    the spectrum until then stays; symmetry is still watched.

    Attributes
    ----------
    alphas [k], betas [k] : the tridiagonal matrix; betas[-1] is the norm of what is left.
    asymmetry : the largest |u.Hv - v.Hu| over successive unit vectors: 0 for a symmetric H but for rounding.
    norm_seen : the largest ||H v||.

    Example
    -------
    >>> d = torch.tensor([3.0, 1.0, -2.0], dtype=torch.float64)
    >>> b = torch.tensor([0.6, 0.0, 0.8], dtype=torch.float64)
    >>> seen = Recurrence(3, torch.float64)
    >>> seen.observe(b, d * b)
    >>> seen.ritz_values().round(4), seen.lower_bound(0.01) < -2
    (array([-0.2]), True)
    """

    def __init__(self, size: int, dtype: torch.dtype) -> None:
        self.size, self.dtype = size, dtype
        self.alphas: list[float] = []
        self.betas: list[float] = []
        self.asymmetry, self.norm_seen = 0.0, 0.0
        self._last: tuple[Tensor, Tensor, Tensor] | None = None  # v, H v, what is left of H v
        self._running = True

    @property
    def num_products(self) -> int:
        """k: products from the one random start."""
        return len(self.alphas)

    @property
    def rounding(self) -> float:
        """What rounding may move an eigenvalue by."""
        return rounding_bound(self.dtype, self.norm_seen)

    @property
    def asymmetry_allowed(self) -> float:
        """What rounding explains."""
        return TWO_PRODUCTS * self.rounding

    @property
    def is_symmetric(self) -> bool:
        """No product so far contradicts H = H^T beyond rounding."""
        return self.asymmetry <= self.asymmetry_allowed

    def observe(self, vector: Tensor, product: Tensor) -> None:
        """Take note of a unit vector [P] and its product [P]."""
        v, w = vector.to(product.dtype, copy=True), product.clone()
        self.norm_seen = max(self.norm_seen, float(w.norm()))
        alpha = float(v @ w)
        rest = w - alpha * v
        if self._last is not None:
            u, previous, left = self._last
            self.asymmetry = max(self.asymmetry, abs(float(u @ w) - float(v @ previous)))
            along = float(left @ v)
            removed = float((left - along * v).norm())
            self._running &= along > self.rounding and removed <= REMOVED * self.rounding
            rest -= along * u
        if self._running:
            self.alphas.append(alpha)
            self.betas.append(float(rest.norm()))
            self._last = v, w, rest
        elif self._last is not None:
            self._last = v, w, self._last[2]

    def ritz_values(self) -> np.ndarray:
        """Ascending [k]."""
        return eigvalsh_tridiagonal(np.array(self.alphas), np.array(self.betas[:-1]))

    def lower_bound(self, failure_probability: float) -> float:
        """But for this probability no eigenvalue lies below; certain where the run filled the space."""
        return self._beyond(self.ritz_values(), failure_probability)

    def upper_bound(self, failure_probability: float) -> float:
        """But for this probability no eigenvalue lies above."""
        return -self._beyond(-self.ritz_values()[::-1], failure_probability)

    def _beyond(self, ritz: np.ndarray, failure_probability: float) -> float:
        rounding = self.rounding
        if self.num_products >= self.size or self.norm_seen == 0.0:
            return float(ritz[0]) - rounding
        betas = np.maximum(self.betas, rounding)
        goal = np.log(betas).sum() - np.log(smallest_share(self.size, failure_probability))
        above = ritz - ritz[0]
        low, high = 0.0, float(np.exp(goal / len(ritz)))  # p_k is at least (x / geometric mean of beta)^k
        while low < (middle := (low + high) / 2) < high:
            if np.log(above + middle).sum() < goal:
                low = middle
            else:
                high = middle
        return float(ritz[0]) - high - rounding
