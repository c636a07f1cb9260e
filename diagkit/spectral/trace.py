r"""The trace of a symmetric operator known only through products: unbiased samples and their spread.

Whatever draws samples t_i with E t_i = tr H is an :class:`Estimator`; :func:`sample` decides how many.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from diagkit.spectral.krylov import Matvec, rounding_bound
from diagkit.spectral.random_vectors import axes, rademacher
from diagkit.work import interrupted, progress

# Products before the spread is trusted to say how many are needed. tests/spectral/test_trace.py measures
# the coverage of what comes out.
PILOT = 20


@dataclass(frozen=True)
class TraceEstimate:
    """The trace, its standard error, the samples [n] of which it is the mean.

    ``exact`` : nothing was left to chance, the error is that of rounding.
    """

    value: float
    sem: float
    samples: np.ndarray
    exact: bool


@dataclass(frozen=True)
class Samples:
    """Independent, unbiased samples of the trace, or of the traces of B diagonal blocks.

    Attributes
    ----------
    values [n, B] : the samples. unseen : the part of a finite population not drawn yet, 1 where there is no
        such end. rounding : what rounding may move a mean by.
    """

    values: np.ndarray
    unseen: float
    rounding: float

    @property
    def mean(self) -> np.ndarray:
        """The estimates [B]."""
        return self.values.mean(axis=0)

    @property
    def sem(self) -> np.ndarray:
        """Standard errors [B] of the estimates, rounding included."""
        return self.sem_of(self.values)

    def sem_of(self, values: np.ndarray) -> np.ndarray:
        """Standard errors of the means of ``values`` [n, ...] drawn with the samples; inf from one alone."""
        if self.unseen == 0.0:
            return np.full(values.shape[1:], self.rounding)
        if len(values) < 2:
            return np.full(values.shape[1:], np.inf)
        return np.hypot(values.std(axis=0, ddof=1) * math.sqrt(self.unseen / len(values)), self.rounding)


class Estimator(Protocol):
    """Draws one sample after another."""

    @property
    def cost(self) -> int:
        """Products for one sample."""

    @property
    def num_products(self) -> int:
        """Products spent so far."""

    def probe(self) -> bool:
        """Draw one more; False where nothing more can be learnt."""

    def estimate(self) -> TraceEstimate:
        """What the samples drawn so far say; there must be one."""


class QuadraticForms:
    r"""Samples v^T H v of random vectors v with E v v^T = I; one product each.

    Where the coordinates are cut into blocks, v_b . (H v)_b is a sample of the trace of the b-th diagonal
    block: E v_i v_j = 0 removes what other blocks contribute. One product serves all blocks, and their
    samples add up to that of the whole.

    Parameters
    ----------
    vectors : v [P], one after another. cut : sizes of the blocks, in order.
    population : None, or n where the v are an orthonormal basis of R^n in random order: then the samples are
        n v^T H v, and once all are drawn nothing is left to chance.
    """

    cost = 1

    def __init__(
        self,
        matvec: Matvec,
        vectors: Iterator[Tensor],
        cut: Sequence[int],
        dtype: torch.dtype,
        population: int | None = None,
    ) -> None:
        self.matvec, self.vectors, self.cut = matvec, vectors, list(cut)
        self.dtype, self.population = dtype, population
        self.factor = float(population or 1)
        self.rows: list[list[float]] = []
        self.square_norms: list[float] = []

    @property
    def num_products(self) -> int:
        return len(self.rows)

    def probe(self) -> bool:
        vector = next(self.vectors, None)
        if vector is None:
            return False
        product = self.matvec(vector)
        self.rows.append([self.factor * float(p.sum()) for p in (vector * product).split(self.cut)])
        self.square_norms.append(self.factor * float(product @ product))
        return True

    def samples(self) -> Samples:
        """All samples so far, block by block."""
        unseen = 1.0 - len(self.rows) / self.population if self.population else 1.0
        frobenius = math.sqrt(np.mean(self.square_norms))  # E ||H v||^2 = ||H||_F^2
        return Samples(np.array(self.rows), unseen, rounding_bound(self.dtype, frobenius))

    def estimate(self) -> TraceEstimate:
        samples = self.samples()
        whole = samples.values.sum(axis=1)
        return TraceEstimate(float(whole.mean()), float(samples.sem_of(whole)), whole, samples.unseen == 0.0)


def hutchinson(
    matvec: Matvec,
    size: int,
    *,
    cut: Sequence[int] | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> QuadraticForms:
    r"""Random signs z: Var z^T H z = 2 (||H||_F^2 - sum_i H_ii^2) (Hutchinson 1990).

    Example
    -------
    >>> estimator = hutchinson(lambda v: 3 * v, 5)
    >>> sample(estimator, limit=4), estimator.estimate().value
    (True, 15.0)
    """
    return QuadraticForms(matvec, rademacher(size, torch.device(device), seed), cut or [size], dtype)


def diagonal(
    matvec: Matvec,
    size: int,
    *,
    cut: Sequence[int] | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> QuadraticForms:
    r"""P H_ii for the coordinates i in random order: exact after P products, an estimate before.

    Example
    -------
    >>> estimator = diagonal(lambda v: torch.arange(5) * v, 5)
    >>> sample(estimator, limit=5), estimator.estimate().value
    (True, 10.0)
    """
    vectors = axes(size, torch.device(device), seed)
    return QuadraticForms(matvec, vectors, cut or [size], dtype, population=size)


def sample(estimator: Estimator, limit: int, tol: float | None = None) -> bool:
    r"""Draw samples within ``limit`` products; True where that was not interrupted.

    With ``tol`` the error decides: after a pilot of 20 products the spread says how many are needed for
    sem <= tol |value|; these are drawn, at most doubling what there is, and the question is asked again. So
    the error is looked at a few times only, since each look is a chance to stop at an error that came out too
    small. The mean settling down is never a reason to stop: it also does so while it is wrong.
    """
    wanted = limit if tol is None else min(PILOT, limit)
    with progress("trace: products", limit) as advance:
        while True:
            while estimator.num_products + estimator.cost <= wanted:
                if estimator.num_products and interrupted():
                    return False
                if not estimator.probe():
                    return True
                advance(estimator.cost)
            if tol is None or wanted >= limit:
                return True
            needed = _needed(estimator, tol)
            if needed <= estimator.num_products:
                return True
            least, most = estimator.num_products + estimator.cost, 2 * estimator.num_products
            wanted = min(limit, math.ceil(min(max(needed, least), most)))


def _needed(estimator: Estimator, tol: float) -> float:
    """Products after which sem <= tol |value| is expected, by 1 / sqrt(n)."""
    found = estimator.estimate()
    if found.sem == 0.0:
        return 0.0
    return estimator.num_products * (found.sem / (tol * abs(found.value))) ** 2 if found.value else math.inf
