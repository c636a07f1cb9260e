r"""The Krylov decomposition H V = V C + beta v_next e^T + D, grown product by product and compressed at need.

V [m, P] has orthonormal rows in float64 and every product is split over V, v_next and, where the space
closes, a small remainder D that was set aside; what later rows see of it is moved into C. So the residual of
a Ritz pair is known from small matrices alone:

    ||H x - theta x|| <= ( ||(C - theta) y||^2 + (beta y_m)^2 )^(1/2) + sum_j |y_j| ||D_j||,   x = V^T y,

without keeping H V and without trusting a three-term recurrence that rounding could have broken. Compressing
to chosen Ritz vectors keeps the decomposition (thick restart: Stewart 2001, SIAM J. Matrix Anal. Appl. 23; Wu
and Simon 2000, ibid. 22): memory is bounded and products already made are not lost.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from diagkit.spectral.krylov import Matvec, RitzPairs, rounding_bound

BLOCK = 8  # rows that are allocated at a time
CHUNK = 1 << 20  # columns that are rotated at a time, so that compressing needs no second basis


class KrylovDecomposition:
    """V, C and v_next of an operator of ``size`` P, with at most ``most_rows`` rows."""

    def __init__(
        self,
        matvec: Matvec,
        size: int,
        dtype: torch.dtype,
        device: torch.device,
        seed: int,
        most_rows: int | None = None,
    ) -> None:
        self.matvec, self.size, self.dtype, self.device = matvec, size, dtype, device
        self.wide = torch.float32 if device.type == "mps" else torch.float64
        self.generator = torch.Generator().manual_seed(seed)
        self.most_rows = size if most_rows is None else min(size, most_rows)
        self.blocks: list[Tensor] = []  # the rows of V, BLOCK at a time: growing needs no second copy
        self.C = np.zeros((0, 0))
        self.dropped = np.zeros(0)  # [m] norms of what is neither in V nor along v_next
        self.aside = torch.empty(0, size, dtype=self.wide, device=device)  # such remainders ...
        self.aside_of: list[int] = []  # ... and the rows whose products they belong to
        self.dim, self.num_products = 0, 0
        self.next: Tensor | None = None
        self.beta = 0.0
        self.norm_seen = 0.0  # largest ||H v||: a lower bound of ||H||
        self._last_row = np.zeros(0)  # [m] coefficients of H V along ``next``
        self.restart()

    @property
    def rounding(self) -> float:
        return rounding_bound(self.dtype, self.norm_seen)

    def restart(self) -> None:
        """Continue from a random unit vector outside V; ``next`` is None where V is the whole space."""
        self.next, self.beta = None, 0.0
        for _ in range(3):
            if self.dim >= self.size:
                return
            noise = torch.randn(self.size, generator=self.generator, dtype=torch.float64)
            rest, norm, _ = self._split(noise.to(self.device, self.wide))
            if norm > 1e-14 * self.size**0.5:
                self.next = rest.div_(norm)
                return

    def _split(self, w: Tensor) -> tuple[Tensor, float, np.ndarray]:
        """w = V^T c + rest: (rest, its norm, c). Gram-Schmidt until a pass changes little: mostly twice."""
        rows = self.rows()
        rest, norm = w.clone(), float(w.norm())
        total = torch.zeros(self.dim, dtype=self.wide, device=self.device)
        for sweep in range(4):
            before = norm
            parts = [block @ rest for block in rows]
            for block, part in zip(rows, parts, strict=True):
                rest.addmv_(block.T, part, alpha=-1)
            total += torch.cat(parts) if parts else total
            norm = float(rest.norm())
            if sweep and norm > 0.5 * before:
                break
        return rest, norm, total.cpu().numpy()

    def rows(self) -> list[Tensor]:
        """The rows of V in use, block by block."""
        starts = range(0, self.dim, BLOCK)
        return [block[: self.dim - i] for i, block in zip(starts, self.blocks, strict=False)]

    @property
    def basis(self) -> Tensor:
        """A copy of the basis [m, P]."""
        return torch.cat([*self.rows(), self.aside[:0]])

    def step(self, closed_below: Callable[[float], float]) -> None:
        """One product, with ``next``. A remainder of at most ``closed_below(norm_seen)`` is set aside."""
        if self.next is None:
            raise RuntimeError("the space is closed: call restart()")
        v, m = self.next, self.dim
        self._place(m, v)
        self.dim += 1
        seen = self._take_back(v)
        product = self.matvec(v).to(self.device, self.wide)
        self.num_products += 1
        norm = float(product.norm())
        self.norm_seen = max(self.norm_seen, norm)
        rest, left, column = self._split(product)
        grown = np.zeros((m + 1, m + 1))
        grown[:m, :m] = self.C
        grown[m, :m] = self._last_row + seen
        grown[:, m] = column
        self.C = grown
        # What is left of a vector inside the basis is rounding, however it compares with the threshold.
        if left > max(closed_below(self.norm_seen), 1e-14 * norm):
            self.next, self.beta = rest.div_(left), left
            self.dropped = np.append(self.dropped, 0.0)
        else:
            self.next, self.beta = None, 0.0
            self.dropped = np.append(self.dropped, left)
            if left > self.rounding:
                self.aside, self.aside_of = torch.cat([self.aside, rest[None]]), [*self.aside_of, m]
        self._last_row = np.zeros(m + 1)
        self._last_row[m] = self.beta

    def _take_back(self, v: Tensor) -> np.ndarray:
        """Coefficients [m] along the new row ``v`` of the remainders that were set aside."""
        seen = np.zeros(self.dim - 1)
        if self.aside_of:
            part = self.aside @ v
            self.aside.addr_(part, v, alpha=-1)
            seen[self.aside_of] = part.cpu().numpy()
            self.dropped[self.aside_of] = self.aside.norm(dim=1).cpu().numpy()
        return seen

    def _place(self, index: int, row: Tensor) -> None:
        if index >= self.most_rows:
            raise RuntimeError("the basis is full: call compress()")
        if index == BLOCK * len(self.blocks):
            rows = min(BLOCK, self.most_rows - index)
            self.blocks.append(torch.empty(rows, self.size, dtype=self.wide, device=self.device))
        self.blocks[index // BLOCK][index % BLOCK] = row

    @property
    def full(self) -> bool:
        return self.dim >= self.most_rows

    def ritz(self, first: int = 0) -> RitzPairs:
        """Ritz pairs of the basis from row ``first`` on; rotations are padded to all rows."""
        C = self.C[first:, first:]
        values, rotation = np.linalg.eigh((C + C.T) / 2)
        return RitzPairs(values, np.vstack([np.zeros((first, len(values))), rotation]))

    def residuals(self, ritz: RitzPairs, indices: np.ndarray) -> np.ndarray:
        """Explicit ||H x - theta x|| of the chosen Ritz pairs."""
        y = ritz.rotation[:, indices]
        inside = np.linalg.norm(self.C @ y - y * ritz.values[indices], axis=0)
        return np.hypot(inside, self._last_row @ y) + np.abs(y).T @ self.dropped

    def combine(self, coefficients: np.ndarray) -> Tensor:
        """Vectors [k, P] from coefficients [m, k]."""
        mix = torch.as_tensor(coefficients.T.copy(), dtype=self.wide, device=self.device)
        return self._mixed(mix, slice(None))

    def _mixed(self, mix: Tensor, columns: slice) -> Tensor:
        """mix [k, m] times V[:, columns]."""
        rows = self.rows()
        parts = mix.split([len(block) for block in rows], dim=1)
        total = parts[0] @ rows[0][:, columns]
        for part, block in zip(parts[1:], rows[1:], strict=True):
            total.addmm_(part, block[:, columns])
        return total

    def compress(self, ritz: RitzPairs, indices: np.ndarray) -> None:
        """Keep the span of the chosen Ritz vectors, and ``next``."""
        y, kept = ritz.rotation[:, indices], len(indices)
        image = self.C @ y
        small = y.T @ image
        lost = np.linalg.norm(image - y @ small, axis=0) + np.abs(y).T @ self.dropped
        mix = torch.as_tensor(y.T.copy(), dtype=self.wide, device=self.device)
        for start in range(0, self.size, CHUNK):
            columns = slice(start, start + CHUNK)
            turned = self._mixed(mix, columns)
            for first, block in zip(range(0, kept, BLOCK), self.blocks, strict=False):
                part = turned[first : first + BLOCK]
                block[: len(part), columns] = part
        self._last_row = self._last_row @ y
        self.C, self.dropped, self.dim = small, lost, kept
        self.aside, self.aside_of = self.aside[:0], []
