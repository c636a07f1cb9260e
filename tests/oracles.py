"""Problems with known answers: exact critical points, prescribed spectra, dense Hessians, a trained network.

Every case is a small ``nn.Module`` in float64 with data and a loss, standing at its point, and the full list
of eigenvalues of its Hessian there, repeated ones as often as they occur.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call, grad, vjp, vmap

import diagkit as dk


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


# -- functions of parameters alone --------------------------------------------------------------------


class FunctionOfParameters(nn.Module):
    """L = f(*parameters), whatever the data: the module's output is L for each example."""

    def __init__(self, f: Callable[..., Tensor], *start: Any) -> None:
        super().__init__()
        self.f = f
        self.point = nn.ParameterList(
            [nn.Parameter(torch.as_tensor(s, dtype=torch.float64).clone()) for s in start]
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.f(*self.point).expand(len(x))


def mean_output(outputs: Tensor, targets: Tensor) -> Tensor:
    return outputs.mean()


NO_DATA = (torch.zeros(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64))


@dataclass(frozen=True)
class Case:
    """A model at a point, and what is true there; ``verdict`` None where the point is not critical."""

    name: str
    model: nn.Module
    loss_fn: Callable[..., Tensor]
    data: Any
    eigenvalues: np.ndarray  # [P], ascending
    verdict: str | None
    loss: float | None = None

    @property
    def index(self) -> int:
        return int((self.eigenvalues < -1e-9 * max(1e-300, np.abs(self.eigenvalues).max())).sum())

    def objective(self, **options: Any) -> dk.Objective:
        return dk.Objective(self.model, self.loss_fn, self.data, **options)


def case_of_function(
    name: str,
    f: Callable[..., Tensor],
    start: Sequence[Any],
    eigenvalues: Any,
    verdict: str | None,
    **more: Any,
) -> Case:
    values = np.sort(np.asarray(eigenvalues, dtype=float))
    return Case(name, FunctionOfParameters(f, *start), mean_output, NO_DATA, values, verdict, **more)


def two_factors(
    point: Sequence[float], eigenvalues: Any, verdict: str, name: str, a: float, b: float
) -> Case:
    """L = (1/2)(a (w1 w2)^2 - 2 b w1 w2)."""
    return case_of_function(
        f"two factors, {name}",
        lambda w: 0.5 * (a * w.prod() ** 2 - 2 * b * w.prod()),
        [point],
        eigenvalues,
        verdict,
    )


def product_chain(w: Sequence[float]) -> Case:
    """L = (1/2)(prod w - 1)^2 where prod w = 1: sum 1/w_i^2 once, else zeros."""
    values = [sum(1 / x**2 for x in w)] + [0.0] * (len(w) - 1)
    return case_of_function(
        f"product chain of {len(w)} at {tuple(w)}",
        lambda w: 0.5 * (w.prod() - 1) ** 2,
        [list(w)],
        values,
        "minimum-within-tolerance",
    )


def product_chain_at_zero(n: int) -> Case:
    """For n >= 3 factors the Hessian at 0 vanishes although 0 is a saddle."""
    return case_of_function(
        f"product chain of {n} at 0",
        lambda w: 0.5 * (w.prod() - 1) ** 2,
        [[0.0] * n],
        [0.0] * n,
        "degenerate",
    )


def linear_autoencoder(chosen: tuple[int, ...], p: int, c: Sequence[float] = (4.0, 2.5, 1.5, 0.7)) -> Case:
    """L = (1/2) tr (I - AB) C (I - AB)^T at A = [U_I, 0] = B^T; slots beyond |I| are empty."""
    n, r = len(c), len(chosen)
    others = [i for i in range(n) if i not in chosen]
    values: list[float] = []
    for j in chosen:
        values += [0.0] * r + [2 * c[j]] * r
    for i, k in itertools.product(others, chosen):
        root = math.sqrt((c[k] - c[i]) ** 2 + 4 * c[i] ** 2)
        values += [(c[k] + c[i] + root) / 2, (c[k] + c[i] - root) / 2]
    for _ in range(p - r):
        values += [s * c[i] for i in others for s in (1.0, -1.0)] + [0.0] * (2 * r)
    C = torch.diag(torch.tensor(c, dtype=torch.float64))
    A = torch.zeros(n, p, dtype=torch.float64)
    for slot, j in enumerate(chosen):
        A[j, slot] = 1.0

    def loss(A: Tensor, B: Tensor) -> Tensor:
        rest = torch.eye(n, dtype=A.dtype) - A @ B
        return 0.5 * (rest @ C.to(A.dtype) * rest).sum()

    swaps = sum(c[i] > c[k] for i in others for k in chosen)
    index = swaps + (p - r) * (n - r)
    case = case_of_function(
        f"linear autoencoder p={p} I={chosen}",
        loss,
        [A, A.T.contiguous()],
        values,
        "saddle" if index else "minimum-within-tolerance",
        loss=0.5 * (sum(c) - sum(c[j] for j in chosen)),
    )
    assert case.index == index, "two formulas for one number"
    return case


def factorization_at_zero(k: int) -> Case:
    """L = (1/2) ||U V^T - M||^2 at 0: +-sigma_i(M), k times each, else zeros."""
    M = randn(4, 3, seed=1)
    sigma = np.linalg.svd(M.numpy(), compute_uv=False)
    values = np.r_[np.repeat(np.r_[sigma, -sigma], k), np.zeros((4 + 3) * k - 2 * 3 * k)]
    start = [torch.zeros(4, k), torch.zeros(3, k)]
    return case_of_function(
        f"matrix factorization k={k} at 0",
        lambda U, V: 0.5 * ((U @ V.T - M.to(U.dtype)) ** 2).sum(),
        start,
        values,
        "saddle",
    )


def symmetric_factorization(k: int, spectrum: Sequence[float] = (3.0, 2.0, 1.2, -0.5)) -> Case:
    """L = (1/4) ||u u^T - M||^2 at sqrt(lambda_k) v_k: 2 lambda_k and lambda_k - lambda_j."""
    n = len(spectrum)
    Q = torch.linalg.qr(randn(n, n, seed=2))[0]
    M = Q @ torch.diag(torch.tensor(spectrum, dtype=torch.float64)) @ Q.T
    values = [2 * spectrum[k]] + [spectrum[k] - spectrum[j] for j in range(n) if j != k]
    return case_of_function(
        f"symmetric factorization k={k}",
        lambda u: 0.25 * ((torch.outer(u, u) - M.to(u.dtype)) ** 2).sum(),
        [math.sqrt(spectrum[k]) * Q[:, k]],
        values,
        "saddle" if k else "minimum-within-tolerance",
    )


def monkey_saddle(x: float, y: float) -> Case:
    """L = x^3 - 3 x y^2: eigenvalues +-6 sqrt(x^2 + y^2)."""
    size = 6 * math.hypot(x, y)
    return case_of_function(
        f"monkey saddle at {(x, y)}",
        lambda w: w[0] ** 3 - 3 * w[0] * w[1] ** 2,
        [[x, y]],
        [-size, size],
        None if size else "degenerate",
    )


def rosenbrock() -> Case:
    return case_of_function(
        "Rosenbrock",
        lambda w: (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2,
        [[1.0, 1.0]],
        [501 - math.sqrt(250601), 501 + math.sqrt(250601)],
        "minimum-within-tolerance",
    )


# -- functions of parameters and data --------------------------------------------------------------------


def half_square(outputs: Tensor, targets: Tensor) -> Tensor:
    return ((outputs - targets) ** 2).sum(dim=1).mean() / 2


def gram_spectrum(X: Tensor) -> np.ndarray:
    return np.linalg.eigvalsh((X.T @ X / len(X)).numpy())


def least_squares() -> Case:
    X, y = randn(40, 6, seed=3), randn(40, 1, seed=4)
    model = nn.Linear(6, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        model.weight.copy_(torch.linalg.lstsq(X, y).solution.T)
    return Case("least squares", model, half_square, (X, y), gram_spectrum(X), "minimum-within-tolerance")


def at_zero(model: nn.Module) -> nn.Module:
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
    return model


def logistic_regression() -> Case:
    X, y = randn(40, 5, seed=5), (randn(40, 1, seed=6) > 0).double()
    model = at_zero(nn.Linear(5, 1, bias=False, dtype=torch.float64))
    return Case("logistic regression at 0", model, nn.BCEWithLogitsLoss(), (X, y), gram_spectrum(X) / 4, None)


def softmax_regression(classes: int = 4) -> Case:
    X, y = randn(40, 5, seed=7), torch.randint(classes, (40,), generator=seeded(8))
    model = at_zero(nn.Linear(5, classes, bias=False, dtype=torch.float64))
    values = np.sort(np.r_[np.repeat(gram_spectrum(X) / classes, classes - 1), np.zeros(5)])
    return Case("softmax regression at 0", model, nn.CrossEntropyLoss(), (X, y), values, None)


@lru_cache
def digits() -> tuple[Tensor, Tensor]:
    """X / 16 [1797, 64] in float64, y [1797]."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return torch.as_tensor(bunch.data / 16.0), torch.as_tensor(bunch.target, dtype=torch.int64)


def tanh_net_on_digits(hidden: int, dtype: torch.dtype = torch.float64) -> Case:
    """All weights 0, a gradient of exactly 0: +-sigma_i(G), ``hidden`` times each, rest 0.

    G = E[(1/K - onehot(y)) x^T] on centred digits.
    """
    X, y = digits()
    X = X - X.mean(dim=0)
    G = (1 / 10 - F.one_hot(y, 10).double()).T @ X / len(X)
    sigma = np.linalg.svd(G.numpy(), compute_uv=False)
    layers = nn.Linear(64, hidden, bias=False), nn.Tanh(), nn.Linear(hidden, 10, bias=False)
    model = at_zero(nn.Sequential(*layers).to(dtype))
    values = np.r_[np.repeat(np.r_[sigma, -sigma], hidden), np.zeros(74 * hidden - 20 * hidden)]
    return Case(
        f"tanh net, {hidden} hidden, {dtype}",
        model,
        nn.CrossEntropyLoss(),
        (X.to(dtype), y),
        np.sort(values),
        "saddle",
    )


def exact_cases() -> list[Case]:
    """The suite of small critical points, all with P <= 24."""
    saddles = [
        two_factors([0.0, 0.0], [-1.5, 1.5], "saddle", "origin", a=2.0, b=1.5),
        two_factors([1.5, 0.5], [0.0, 2.0 * 2.5], "minimum-within-tolerance", "valley", a=2.0, b=1.5),
        product_chain([1.0, 1.0]),
        product_chain([2.0, 0.5]),
        product_chain([2.0, -0.5, -1.0]),
        product_chain([0.5, 4.0, 1.0, 0.5]),
        product_chain_at_zero(3),
        product_chain_at_zero(5),
        monkey_saddle(0.0, 0.0),
        monkey_saddle(0.3, -0.4),
        rosenbrock(),
        factorization_at_zero(1),
        factorization_at_zero(2),
        least_squares(),
        logistic_regression(),
        softmax_regression(),
    ]
    saddles += [symmetric_factorization(k) for k in range(3)]
    for p in (2, 3):
        for r in range(p + 1):
            saddles += [linear_autoencoder(chosen, p) for chosen in itertools.combinations(range(4), r)]
    return saddles


# -- prescribed spectra --------------------------------------------------------------------


def symmetric_matrix(eigenvalues: Sequence[float] | np.ndarray, seed: int = 0) -> Tensor:
    """Q diag(eigenvalues) Q^T [P, P] in float64 with a random rotation Q."""
    values = torch.as_tensor(np.asarray(eigenvalues, dtype=float))
    Q = torch.linalg.qr(randn(len(values), len(values), seed=seed))[0]
    H = Q @ torch.diag(values) @ Q.T
    return (H + H.T) / 2


def quadratic(H: Tensor) -> dk.Objective:
    """L = (1/2) w^T H w at 0, in the dtype of H."""
    model = FunctionOfParameters(lambda w: 0.5 * w @ H @ w, torch.zeros(len(H))).to(H.dtype)
    return dk.Objective(model, mean_output, NO_DATA)


# -- derivatives by other means --------------------------------------------------------------------


def flat_loss(
    model: nn.Module, loss_fn: Callable[..., Tensor], data: tuple[Tensor, Tensor]
) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """(theta -> L(theta), theta) of the trainable parameters, without any part of diagkit."""
    named = {n: p.detach() for n, p in model.named_parameters() if p.requires_grad}
    theta = torch.cat([p.reshape(-1) for p in named.values()])

    def loss(theta: Tensor) -> Tensor:
        parts = theta.split([p.numel() for p in named.values()])
        shaped = {n: t.view(p.shape) for (n, p), t in zip(named.items(), parts, strict=True)}
        return loss_fn(functional_call(model, shaped, (data[0],)), data[1])

    return loss, theta


def dense_hessian(model: nn.Module, loss_fn: Callable[..., Tensor], data: tuple[Tensor, Tensor]) -> Tensor:
    """[P, P] by reverse over reverse mode of ``torch.func``."""
    loss, theta = flat_loss(model, loss_fn, data)
    _, pull = vjp(grad(loss), theta)
    return vmap(lambda v: pull(v)[0], chunk_size=64)(torch.eye(len(theta), dtype=theta.dtype))


def finite_difference_hvp(obj: dk.Objective, v: Tensor, eps: float = 1e-5) -> Tensor:
    """(g(theta + eps v) - g(theta - eps v)) / (2 eps), for float64 objectives; error O(eps^2 |v|^3)."""
    return (obj.gradient(obj.theta + eps * v) - obj.gradient(obj.theta - eps * v)) / (2 * eps)


def finite_difference_gradient(obj: dk.Objective, eps: float = 1e-5) -> Tensor:
    eye = torch.eye(obj.num_params, dtype=torch.float64) * eps
    theta = obj.theta
    slopes = [(obj.loss(theta + e) - obj.loss(theta - e)) / (2 * eps) for e in eye]
    return torch.tensor(slopes, dtype=torch.float64)


# -- a trained network --------------------------------------------------------------------


def digits_mlp(dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """64-16-10 with ReLU, P = 1210, untrained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10)).to(dtype)


@lru_cache
def _trained_state() -> dict[str, Tensor]:
    X, y = digits()
    model = digits_mlp()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        F.cross_entropy(model(X), y).backward()
        optimizer.step()
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def trained_digits_mlp(dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """After 100 full-batch Adam steps; the same weights at every call."""
    model = digits_mlp()
    model.load_state_dict(_trained_state())
    return model.to(dtype)


def digits_objective(dtype: torch.dtype = torch.float64, examples: int = 600, **options: Any) -> dk.Objective:
    """Cross-entropy of the trained MLP on the first digits."""
    X, y = digits()
    data = X[:examples].to(dtype), y[:examples]
    return dk.Objective(trained_digits_mlp(dtype), nn.CrossEntropyLoss(), data, **options)


@lru_cache
def digits_spectrum(examples: int = 600) -> np.ndarray:
    """All eigenvalues [1210], ascending, from the dense float64 Hessian."""
    X, y = digits()
    H = dense_hessian(trained_digits_mlp(), F.cross_entropy, (X[:examples], y[:examples]))
    return np.linalg.eigvalsh(H.numpy())
