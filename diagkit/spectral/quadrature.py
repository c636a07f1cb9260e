r"""Stochastic Lanczos quadrature: how the eigenvalues of an operator are spread, from products alone.

For a unit vector z let mu_z put the weight (z . u_i)^2 on each eigenvalue lambda_i. With z uniform on the
sphere E mu_z is the spectral density (1/P) sum_i delta(lambda - lambda_i). After m Lanczos steps from z the
eigenvalues theta_j of the tridiagonal matrix, weighted by the squared first entries of its eigenvectors, are
Gauss quadrature for mu_z: sum_j w_j p(theta_j) = z^T p(H) z for all polynomials p of degree below 2 m
(Golub and Welsch 1969; Ubaru, Chen and Saad 2017, SIAM J. Matrix Anal. Appl. 38).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import eigh_tridiagonal
from torch import Tensor

from diagkit.spectral.krylov import Matvec, rounding_bound
from diagkit.spectral.random_vectors import axes, on_sphere, wide
from diagkit.work import interrupted, progress

CLOSED_FLOOR, CLOSED_ROUNDINGS = 1e-9, 4.0  # as for the search of eigenvalues


@dataclass(frozen=True)
class Quadrature:
    """One row for each probe; a row whose Krylov space closed early is padded with NaN at weight 0.

    Attributes
    ----------
    nodes, weights [n, m] : weights of a row sum to 1. exact : the nodes are the eigenvalues themselves.
    rounding : what rounding may move a node by. num_products, complete : as everywhere.
    """

    nodes: np.ndarray
    weights: np.ndarray
    exact: bool
    rounding: float
    num_products: int
    complete: bool

    def moments(self, power: int) -> np.ndarray:
        """sum_j w_j theta_j^power of each probe [n]: unbiased samples of tr(H^power) / P."""
        return (self.weights * np.nan_to_num(self.nodes) ** power).sum(axis=1)


def stochastic_lanczos_quadrature(
    matvec: Matvec,
    size: int,
    *,
    num_probes: int,
    steps: int,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> Quadrature:
    """Gauss quadrature from ``num_probes`` random starts, ``steps`` products each.

    Memory: one basis [steps, P], used again by each probe. A probe that is interrupted is left out, unless it
    is the first.

    Example
    -------
    >>> H = torch.arange(1.0, 101.0, dtype=torch.float64)
    >>> found = stochastic_lanczos_quadrature(lambda v: H * v, 100, num_probes=40, steps=10)
    >>> found.nodes.shape, round(found.moments(1).mean())  # the mean eigenvalue is 50.5
    ((40, 10), 50)
    """
    device = torch.device(device)
    steps = min(steps, size)
    basis = torch.empty(steps, size, dtype=wide(device), device=device)
    starts = on_sphere(size, device, seed)
    nodes, weights = np.full((num_probes, steps), np.nan), np.zeros((num_probes, steps))
    norm_seen, num_products, done, complete = 0.0, 0, 0, False
    with progress("spectral density: products", num_probes * steps) as advance:
        while done < num_probes and not (done and interrupted()):
            run = _tridiagonalize(matvec, next(starts), basis, dtype)
            num_products += len(run.diagonal)
            norm_seen = max(norm_seen, run.norm_seen)
            advance(len(run.diagonal))
            if done and not run.ended:
                break
            theta, vectors = eigh_tridiagonal(run.diagonal, run.beside)
            nodes[done, : len(theta)], weights[done, : len(theta)] = theta, vectors[0] ** 2
            done += 1
            complete = run.ended and done == num_probes
    rounding = rounding_bound(dtype, norm_seen)
    return Quadrature(nodes[:done], weights[:done], False, rounding, num_products, complete)


@dataclass(frozen=True)
class _Tridiagonal:
    diagonal: list[float]
    beside: list[float]
    norm_seen: float
    ended: bool


def _tridiagonalize(matvec: Matvec, start: Tensor, basis: Tensor, dtype: torch.dtype) -> _Tridiagonal:
    """Lanczos from ``start`` with double full reorthogonalization, written into ``basis`` [steps, P].

    Ends after ``steps`` products, or where the remainder is rounding: the space is invariant then, and the
    quadrature exact. Without reorthogonalization converged values would come back as copies.
    """
    diagonal: list[float] = []
    beside: list[float] = []
    vector, norm_seen = start, 0.0
    for step in range(len(basis)):
        if step and interrupted():
            return _Tridiagonal(diagonal, beside[: step - 1], norm_seen, False)
        basis[step] = vector
        product = matvec(vector).to(vector)
        norm_seen = max(norm_seen, float(product.norm()))
        diagonal.append(float(vector @ product))
        known = basis[: step + 1]
        for _ in range(2):
            product = product - known.T @ (known @ product)
        remainder = float(product.norm())
        if remainder <= max(CLOSED_ROUNDINGS * rounding_bound(dtype, norm_seen), CLOSED_FLOOR * norm_seen):
            break
        beside.append(remainder)
        vector = product / remainder
    return _Tridiagonal(diagonal, beside[: len(diagonal) - 1], norm_seen, True)


def exact_quadrature(
    matvec: Matvec,
    size: int,
    *,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> Quadrature | None:
    """All eigenvalues, each at weight 1 / P, from P products; None where that was interrupted.

    Example
    -------
    >>> found = exact_quadrature(lambda v: torch.tensor([3.0, -1.0]).double() * v, 2)
    >>> found.nodes, found.weights
    (array([[-1.,  3.]]), array([[0.5, 0.5]]))
    """
    dense = np.empty((size, size))
    with progress("spectrum: products", size) as advance:
        for count, axis in enumerate(axes(size, torch.device(device), seed)):
            if count and interrupted():
                return None
            dense[int(axis.argmax())] = matvec(axis).cpu().numpy()
            advance(1)
    values = np.linalg.eigvalsh((dense + dense.T) / 2)
    rounding = rounding_bound(dtype, float(np.abs(values).max()))
    return Quadrature(values[None], np.full((1, size), 1 / size), True, rounding, size, True)


def broadened(quadrature: Quadrature, grid: np.ndarray, sigma: float) -> np.ndarray:
    """sum_j w_j N(x; theta_j, sigma^2) on the grid, for each probe: [n, grid points].

    Example
    -------
    >>> point = Quadrature(np.zeros((1, 1)), np.ones((1, 1)), True, 0.0, 1, True)
    >>> broadened(point, np.array([0.0]), sigma=1.0).round(4)
    array([[0.3989]])
    """
    rows = []
    for nodes, weights in zip(quadrature.nodes, quadrature.weights, strict=True):
        used = weights > 0
        distance = (grid[:, None] - nodes[used]) / sigma
        rows.append(np.exp(-0.5 * distance**2) @ weights[used])
    return np.stack(rows) / (sigma * math.sqrt(2 * math.pi))
