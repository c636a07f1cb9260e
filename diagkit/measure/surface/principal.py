"""Principal components of a few points in many dimensions, and what a random walk would show."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

CHUNK = 1 << 22  # numbers of each block in float64


def principal_axes(points: Tensor) -> tuple[Tensor | None, np.ndarray]:
    r"""Unit vectors [2, P] of largest variance of ``points`` [n, P] about their mean, and all shares [n - 1].

    From the n x n matrix of scalar products, summed in float64 over blocks of parameters: P may be large, and
    no centred copy is made. The signs are such that the trajectory's farthest point from the last one has
    negative a and positive b. None where the points lie on one line but for rounding.

    Example
    -------
    >>> axes, shares = principal_axes(torch.tensor([[0.0, 0.0, 2.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]))
    >>> shares.round(3), (axes[0] @ axes[1]).abs() < 1e-12
    (array([0.861, 0.139]), tensor(True))
    """
    n = len(points)
    blocks = points.split(max(1, CHUNK // n), dim=1)
    gram = torch.zeros(n, n, dtype=torch.float64)
    for block in blocks:
        centred = _centred(block)
        gram += centred @ centred.T
    values, vectors = torch.linalg.eigh(gram)
    values, vectors = values.flip(0)[: n - 1].clamp(min=0.0), vectors.flip(1)
    shares = (values / values.sum()).numpy() if float(values.sum()) > 0 else np.zeros(n - 1)
    # Rounding of the points themselves, squared: a spread below it is none.
    rounding = (10 * torch.finfo(points.dtype).eps) ** 2 + 10 * n * torch.finfo(torch.float64).eps
    if not shares.any() or shares[1] <= rounding:
        return None, shares
    weights = vectors[:, :2].T  # scores of the points along each component, but for their length
    from_last = weights - weights[:, -1:]
    far = from_last.gather(1, from_last.abs().argmax(dim=1, keepdim=True))[:, 0]
    weights = weights * (torch.tensor([-1.0, 1.0]) * torch.where(far < 0, -1.0, 1.0))[:, None]
    axes = torch.cat([weights @ _centred(block) for block in blocks], dim=1)
    axes /= axes.norm(dim=1, keepdim=True)
    axes[1] -= (axes[0] @ axes[1]) * axes[0]
    return axes / axes.norm(dim=1, keepdim=True), shares


def random_walk_shares(n: int) -> np.ndarray:
    r"""Shares of variance [n - 1] of the principal components of a random walk of n points.

    The positions about their mean have the covariance L^+, the pseudo-inverse of the Laplacian of a path of n
    nodes, in each dimension. Its eigenvalues are 1 / (4 sin^2(pi k / 2n)), k = 1 .. n - 1, with sum
    (n^2 - 1) / 6. The components of a single walk in P dimensions show these shares, for P much larger than
    1: to first order in 1 / P, long walks give PC1 + PC2 another 0.4 / P, with a standard deviation of about
    0.4 / sqrt(P) for PC1 (Antognini and Sohl-Dickstein 2018, arXiv:1806.08805, for the limits).

    Example
    -------
    >>> random_walk_shares(3), random_walk_shares(1000)[:2].round(3)  # 6 / (pi k)^2 for long walks
    (array([0.75, 0.25]), array([0.608, 0.152]))
    """
    k = np.arange(1, n)
    return 1.5 / ((n**2 - 1) * np.sin(np.pi * k / (2 * n)) ** 2)


def _centred(block: Tensor) -> Tensor:
    wide = block.cpu().double()
    return wide - wide.mean(dim=0)
