r"""Exact critical points: small modules with data, at a point whose Hessian spectrum is known in closed form.

Each function returns an :class:`ExactCase`; ``Objective(*case)`` has gradient zero there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from diagkit.clinic.digits import digits
from diagkit.clinic.networks import Factorization


@dataclass(frozen=True, eq=False)
class ExactCase:
    """A critical point. eigenvalues [P]: the whole spectrum of the Hessian there, ascending."""

    name: str
    model: nn.Module
    loss_fn: Callable[..., Tensor]
    data: tuple[Tensor, Tensor]
    loss: float
    eigenvalues: np.ndarray

    @property
    def index(self) -> int:
        """Number of negative eigenvalues."""
        return int((self.eigenvalues < -1e-12 * max(np.abs(self.eigenvalues).max(), 1e-300)).sum())

    def __iter__(self) -> Iterator[Any]:
        return iter((self.model, self.loss_fn, self.data))


def half_square(output: Tensor, target: Tensor) -> Tensor:
    """(1/2) sum over components, mean over examples."""
    return 0.5 * ((output - target) ** 2).flatten(1).sum(1).mean()


class Product(nn.Module):
    """x times the product of all weights."""

    def __init__(self, weights: Sequence[float]) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(weights, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.w.prod()


def two_weights(b: float = 1.0) -> ExactCase:
    r"""L = (1/2) (w1 w2 - b)^2 at 0: eigenvalues -b and b, the smallest saddle there is.

    Example
    -------
    >>> case = two_weights(3.0)
    >>> case.eigenvalues.tolist(), case.index, case.loss
    ([-3.0, 3.0], 1, 4.5)
    """
    one = torch.ones(1, 1, dtype=torch.float64)
    spectrum = np.sort([-b, b]).astype(float)
    return ExactCase("two weights", Product([0.0, 0.0]), half_square, (one, b * one), 0.5 * b * b, spectrum)


def chain(num_factors: int = 3, scale: float = 2.0) -> ExactCase:
    r"""L = (1/2) (prod w - 1)^2 at w = (s, 1/s, 1, 1, ...): sum 1/w_i^2 once, 0 N - 1 times: a valley."""
    weights = [scale, 1 / scale, *[1.0] * (num_factors - 2)]
    spectrum = np.array([0.0] * (num_factors - 1) + [sum(1 / w**2 for w in weights)])
    one = torch.ones(1, 1, dtype=torch.float64)
    return ExactCase("chain of weights", Product(weights), half_square, (one, one), 0.0, spectrum)


def flat_saddle(num_factors: int = 3) -> ExactCase:
    """The same at 0, N >= 3: a saddle that the Hessian, being zero, cannot see."""
    one = torch.ones(1, 1, dtype=torch.float64)
    return ExactCase(
        "flat saddle", Product([0.0] * num_factors), half_square, (one, one), 0.5, np.zeros(num_factors)
    )


def autoencoder_saddle(
    variances: Sequence[float] = (4.0, 2.0, 1.0), kept: Sequence[int] = (1,), width: int = 2
) -> ExactCase:
    r"""Linear autoencoder (1/2) E||x - A B x||^2 that keeps the directions ``kept`` of its data.

    Baldi & Hornik 1989. With r = len(kept) and p = width, for j kept: 0 and 2 c_j (r times each); for i not
    kept and k kept: (c_k + c_i +- sqrt((c_k - c_i)^2 + 4 c_i^2)) / 2; for each of the p - r empty units:
    +-c_i for i not kept, and 2 r zeros. Loss: half the variance not kept.

    Example
    -------
    >>> case = autoencoder_saddle((4.0, 1.0), kept=(1,), width=1)
    >>> case.index, case.loss, case.eigenvalues.round(4).tolist()
    (1, 2.0, [-1.772, 0.0, 2.0, 6.772])
    """
    c, n, r = np.asarray(variances, float), len(variances), len(kept)
    left_out = [i for i in range(n) if i not in kept]
    values = [0.0] * r * r + [2 * c[j] for j in kept for _ in range(r)]
    for i in left_out:
        for k in kept:
            root = np.sqrt((c[k] - c[i]) ** 2 + 4 * c[i] ** 2)
            values += [(c[k] + c[i] + root) / 2, (c[k] + c[i] - root) / 2]
    values += (width - r) * ([s * c[i] for i in left_out for s in (1, -1)] + [0.0] * 2 * r)
    model = nn.Sequential(nn.Linear(n, width, bias=False), nn.Linear(width, n, bias=False)).double()
    encoder = torch.zeros(width, n, dtype=torch.float64)
    for unit, j in enumerate(kept):
        encoder[unit, j] = 1.0
    into, out = model.parameters()
    with torch.no_grad():
        into.copy_(encoder)
        out.copy_(encoder.T)
    X = torch.diag(torch.tensor(np.sqrt(n * c)))  # E x x^T = diag(c)
    loss = 0.5 * float(sum(c[i] for i in left_out))
    return ExactCase("linear autoencoder", model, half_square, (X, X), loss, np.sort(values))


def factorization_at_zero(singular_values: Sequence[float] = (3.0, 1.0), inner: int = 2) -> ExactCase:
    r"""(1/2) ||U V^T - M||^2 / n at 0, M diagonal [n, n]: +-sigma_i / n, ``inner`` times each."""
    n = len(singular_values)
    M = torch.diag(torch.tensor(singular_values, dtype=torch.float64))
    zero = torch.zeros(n, inner, dtype=torch.float64)
    values = np.sort([s * v / n for v in singular_values for s in (1, -1) for _ in range(inner)])
    loss = 0.5 * float((M**2).sum()) / n
    data = (torch.arange(n), M)
    return ExactCase("matrix factorization", Factorization(zero, zero), half_square, data, loss, values)


def zero_network(hidden: int = 32) -> ExactCase:
    r"""Bias-free tanh network on centred digits, cross-entropy, all weights zero.

    G = E[(1/K - onehot(y)) x^T]: +-sigma_i(G) ``hidden`` times each, the rest zero; loss ln K.
    """
    X, y = digits()
    X = X.double()
    G = (0.1 - nn.functional.one_hot(y, 10).double()).T @ X / len(X)
    sigma = torch.linalg.svdvals(G).numpy()
    sigma = np.where(sigma > 1e-10, sigma, 0.0)
    model = nn.Sequential(nn.Linear(64, hidden, bias=False), nn.Tanh(), nn.Linear(hidden, 10, bias=False))
    for p in model.double().parameters():
        nn.init.zeros_(p)
    values = np.concatenate([np.repeat(sigma, hidden), np.repeat(-sigma, hidden), np.zeros(54 * hidden)])
    loss = float(np.log(10))
    return ExactCase("zero network", model, nn.CrossEntropyLoss(), (X, y), loss, np.sort(values))
