"""Top eigenvalues as each package's documentation computes them, and as cheaply as hindsight allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

import diagkit as dk
from benchmarks.curvature.models import Trained

K = 5


@dataclass
class Solver:
    """``run`` -> (values [K], products or None); ``plain``: the settings somebody would use unseen."""

    name: str
    run: Callable[[], tuple[np.ndarray, int | None]]
    plain: bool


def diagkit(case: Trained) -> Solver:
    def run() -> tuple[np.ndarray, int | None]:
        obj = dk.Objective(case.model, case.loss_fn, (case.X, case.y))
        pairs = dk.hessian_eigenvalues(obj, K, tol=1e-3)
        assert pairs.converged.all()
        return pairs.values, pairs.num_hvps

    return Solver("diagkit", run, plain=True)


def curvlinops(case: Trained) -> Iterator[Solver]:
    from curvlinops import HessianLinearOperator
    from scipy.sparse.linalg import eigsh

    def run(tol: float) -> tuple[np.ndarray, int | None]:
        parameters = list(case.model.parameters())
        operator = HessianLinearOperator(case.model, case.loss_fn, parameters, [(case.X, case.y)])
        values = eigsh(operator.to_scipy(), k=K, which="LA", tol=tol, return_eigenvectors=False)
        return values, None

    for tol in (1e-3, 1e-1):
        yield Solver(f"curvlinops + eigsh, tol {tol:g}", lambda tol=tol: run(tol), plain=tol == 1e-3)


def hessian_eigenthings(case: Trained) -> Iterator[Solver]:
    from hessian_eigenthings import HessianOperator, lanczos, supervised_loss

    def run(steps: int) -> tuple[np.ndarray, int | None]:
        operator = HessianOperator(case.model, [(case.X, case.y)], supervised_loss(case.loss_fn))
        found = lanczos(operator, k=K, max_iter=steps, which="LA", seed=0)
        return found.eigenvalues.numpy(), steps

    for steps in (40, 25, 20, 18, 16, 14, 12):
        yield Solver(f"hessian-eigenthings, {steps} steps", lambda n=steps: run(n), plain=steps == 40)


def pyhessian(case: Trained) -> Iterator[Solver]:
    from pyhessian import hessian

    def run(tol: float) -> tuple[np.ndarray, int | None]:
        problem = hessian(case.model, case.loss_fn, data=(case.X, case.y), cuda=False)
        values, _ = problem.eigenvalues(maxIter=100, tol=tol, top_n=K)
        for p in case.model.parameters():
            p.grad = None  # it leaves the graph of the gradient there
        return np.array(values), None

    for tol in (1e-3, 1e-2):
        yield Solver(f"PyHessian, tol {tol:g}", lambda tol=tol: run(tol), plain=tol == 1e-3)


PEERS = (curvlinops, hessian_eigenthings, pyhessian)
