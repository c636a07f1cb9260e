"""An orthonormal basis that grows by products with a symmetric operator, and its Ritz pairs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Matvec = Callable[[Tensor], Tensor]

# Multiples of eps * ||H|| that rounding in one product may move an eigenvalue by. Measured on digits
# networks in float32 against float64: below 4 (tests/spectral/test_lanczos.py repeats the measurement).
ROUNDING = 16.0


def rounding_bound(dtype: torch.dtype, scale: float) -> float:
    """What rounding may do to an eigenvalue of a matrix of norm ``scale``, products taken in ``dtype``.

    Example
    -------
    >>> rounding_bound(torch.float64, 1.0) < 1e-14 < rounding_bound(torch.float32, 1.0)
    True
    """
    return ROUNDING * torch.finfo(dtype).eps * scale


@dataclass(frozen=True)
class RitzPairs:
    """Ritz values [m], ascending, and the rotation [m, m] whose columns combine the basis rows."""

    values: np.ndarray
    rotation: np.ndarray

    @property
    def scale(self) -> float:
        """Estimate of ||H||: the largest magnitude among the Ritz values."""
        return float(np.abs(self.values).max()) if self.values.size else 0.0


class KrylovSpace:
    """Rows V [m, P], orthonormal in float64, with the products W = H V that made them.

    Because W is kept, the projected matrix is V W^T itself and residuals are explicit: no relation of
    the recurrence is trusted that rounding could have broken.
    """

    def __init__(
        self, matvec: Matvec, size: int, dtype: torch.dtype, device: torch.device, seed: int
    ) -> None:
        self.matvec, self.num_rows, self.dtype, self.device = matvec, size, dtype, device
        self.wide = torch.float32 if device.type == "mps" else torch.float64
        self.generator = torch.Generator().manual_seed(seed)
        self.V = torch.empty(0, size, dtype=self.wide, device=device)
        self.W = torch.empty(0, size, dtype=self.wide, device=device)
        self.projected = np.zeros((0, 0))
        self.dim = 0
        self.norm_seen = 0.0  # largest ||H v||: a lower bound of ||H||

    @property
    def rounding(self) -> float:
        return rounding_bound(self.dtype, self.norm_seen)

    def fresh(self) -> Tensor | None:
        """A random unit vector orthogonal to the basis, None where the basis is the whole space."""
        for _ in range(3):
            if self.dim >= self.num_rows:
                return None
            noise = torch.randn(self.num_rows, generator=self.generator, dtype=torch.float64)
            vector = self.orthogonal(noise.to(self.device, self.wide))[0]
            if vector is not None:
                return vector
        return None

    def orthogonal(self, vector: Tensor, threshold: float = 0.0) -> tuple[Tensor | None, float]:
        """(unit vector, norm) of the part of ``vector`` outside the basis; None if not above ``threshold``.

        Gram-Schmidt twice: once leaves an error of eps times the part removed, twice leaves eps.
        """
        basis = self.V[: self.dim]
        before = float(vector.norm())
        for _ in range(2):
            vector = vector - basis.T @ (basis @ vector)
        norm = float(vector.norm())
        # What is left of a vector inside the basis is rounding, however it compares with the threshold.
        if not norm > max(threshold, 1e-14 * before):
            return None, norm
        vector = vector / norm
        return vector - basis.T @ (basis @ vector), norm

    def extend(self, vector: Tensor) -> Tensor:
        """Add a unit vector orthogonal to the basis; return its product H v."""
        if self.dim == len(self.V):
            room = torch.empty(max(16, self.dim // 2), self.num_rows, dtype=self.wide, device=self.device)
            self.V, self.W = torch.cat([self.V, room]), torch.cat([self.W, room])
        product = self.matvec(vector).to(self.device, self.wide)
        self.V[self.dim], self.W[self.dim] = vector, product
        self.dim += 1
        column = (self.V[: self.dim] @ product).cpu().numpy()
        grown = np.zeros((self.dim, self.dim))
        grown[:-1, :-1] = self.projected
        grown[:, -1] = grown[-1, :] = column
        self.projected = grown
        self.norm_seen = max(self.norm_seen, float(product.norm()))
        return product

    def ritz(self, first: int = 0) -> RitzPairs:
        """Ritz pairs of the basis from row ``first`` on; rotations are padded to all rows."""
        values, rotation = np.linalg.eigh(self.projected[first:, first:])
        return RitzPairs(values, np.vstack([np.zeros((first, len(values))), rotation]))

    def combine(self, coefficients: np.ndarray) -> Tensor:
        """Vectors [k, P] from coefficients [m, k]."""
        return torch.as_tensor(coefficients.T, dtype=self.wide, device=self.device) @ self.V[: self.dim]

    def residuals(self, ritz: RitzPairs, indices: np.ndarray) -> np.ndarray:
        """Explicit ||H x - theta x|| of the chosen Ritz pairs, without a further product."""
        chosen = ritz.rotation[:, indices]
        mix = torch.as_tensor(chosen.T, dtype=self.wide, device=self.device)
        shrunk = torch.as_tensor((chosen * ritz.values[indices]).T, dtype=self.wide, device=self.device)
        return (mix @ self.W[: self.dim] - shrunk @ self.V[: self.dim]).norm(dim=1).cpu().numpy()
