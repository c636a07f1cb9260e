r"""Whose curvature is it, the loss function's or the model's own? H = G + R, eigenvalue by eigenvalue."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from diagkit.errors import InputError
from diagkit.measure.operator_ends import operator_ends
from diagkit.measure.price import Bill, check_objective
from diagkit.measure.spectrum import Eigenpairs, eigenpairs, spectrum_ends
from diagkit.objective import Objective
from diagkit.objective.gauss_newton import gauss_newton_products
from diagkit.result import Result
from diagkit.spectral import Ends, rounding_bound

if TYPE_CHECKING:
    import pandas as pd

NOTHING_AFTER = 20  # products of R inside rounding after which R counts as zero


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class GaussNewtonSplit(Result):
    """The Hessian H = G + R at one point: Gauss-Newton part and residual part.

    Attributes
    ----------
    hessian, gauss_newton : the k largest eigenvalues of H and of G, with residuals (Eigenpairs).
    residual_smallest, residual_largest : the extreme eigenvalues of R = H - G, one at each end.
    shares [k] : v^T G v / v^T H v along each eigenvector v of ``hessian``: how much of that curvature is
        Gauss-Newton. Above 1 where R is negative along v; nan where v^T H v is not told from zero.
    share_errors [k] : what rounding, and the error of v, may change about it.
    overlap : ||V_H V_G^T||_F^2 / k of the two top subspaces: 1 where they are the same, about k / P where
        they have nothing to do with each other. It hangs on the vectors, so see ``converged`` in both.
    num_hvps : products with H and products with G together.
    """

    hessian: Eigenpairs
    gauss_newton: Eigenpairs
    residual_smallest: Eigenpairs
    residual_largest: Eigenpairs
    shares: np.ndarray
    share_errors: np.ndarray
    overlap: float

    def summary(self) -> dict[str, Any]:
        return {
            "hessian": self.hessian.values,
            "gauss_newton": self.gauss_newton.values,
            "residual_part": (self.residual_smallest.values[0], self.residual_largest.values[0]),
            "shares": self.shares,
            "overlap": self.overlap,
            "num_hvps": self.num_hvps,
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per eigenvalue of H, the eigenvalue of G of the same rank beside it."""
        import pandas as pd

        return pd.DataFrame(
            {
                "hessian": self.hessian.values,
                "hessian_residual": self.hessian.residuals,
                "gauss_newton": self.gauss_newton.values,
                "gauss_newton_residual": self.gauss_newton.residuals,
                "share": self.shares,
                "share_error": self.share_errors,
            },
            index=pd.RangeIndex(1, len(self.shares) + 1, name="rank"),
        )


def gauss_newton_split(obj: Objective, k: int = 5, *, tol: float = 1e-3, seed: int = 0) -> GaussNewtonSplit:
    r"""Split the k largest curvatures of L = (1/N) sum_n l(z_n, y_n), z_n = f(x_n; theta) [M]:

    .. math:: H = \underbrace{\tfrac1N \sum_n J_n^T \, \nabla_z^2 l \, J_n}_{G}
                + \underbrace{\tfrac1N \sum_n \sum_m \partial_{z_m} l \; \nabla_\theta^2 z_{n,m}}_{R}

    with J_n = dz_n/dtheta [M, P]. G is the curvature of the loss as a function of the outputs, seen through
    the tangent of the model, and equals the Fisher matrix for a softmax with cross-entropy and, up to the
    variance, for least squares. R is the model's own curvature weighted by the errors dl/dz still made: it
    vanishes for a model linear in theta and for a perfect fit, and negative curvature of H comes from it
    where l is convex in z (Schraudolph 2002; Sagun et al. 2017, arXiv:1706.04454; Papyan 2018,
    arXiv:1811.07062).

    Parameters
    ----------
    k : how many of the largest eigenvalues of H and of G. tol, seed : as in ``hessian_eigenvalues``.

    Raises
    ------
    InputError : k outside 1..P; a loss that sees the parameters other than through the outputs of one call
        of the model (a weight penalty, two calls, a model that returns its own loss).
    NonFiniteError : a derivative is NaN or Inf.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> model = torch.nn.Linear(2, 1, bias=False)  # linear in its parameters: R = 0
    >>> X = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    >>> obj = dk.Objective(model, torch.nn.MSELoss(), (X, torch.zeros(2, 1)))
    >>> dk.gauss_newton_split(obj, k=2)
    GaussNewtonSplit(hessian=[4, 1], gauss_newton=[4, 1], residual_part=[0, 0], shares=[1, 1], overlap=1,
    num_hvps=8)
    """
    check_objective(obj)
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= obj.num_params:
        raise InputError(f"k = {k!r}", allowed=f"an integer, 1 <= k <= P = {obj.num_params}", write="k=1")
    total, bill = Bill(obj), Bill(obj)
    hessian = eigenpairs(spectrum_ends(obj, 0, int(k), tol=tol, seed=seed), "largest", bill.paid(), seed)
    half = obj.at(obj.theta)
    half.memory_budget = obj.memory_budget // 2  # two sets of graphs at once
    with half.products() as H, gauss_newton_products(half) as G:
        bill = Bill(obj)
        ends = operator_ends(obj, G.matvec, 0, int(k), tol=tol, seed=seed)
        gauss_newton = eigenpairs(ends, "largest", bill.paid(), seed)
        noise = rounding_bound(obj.fixed.precision, hessian.scale + gauss_newton.scale)
        bill, nothing = Bill(obj), _Nothing(noise)
        rest = lambda v: H.matvec(v) - G.matvec(v)  # noqa: E731
        ends = _above(noise, operator_ends(obj, rest, 1, 1, tol=tol, seed=seed, enough=nothing))
        smallest = eigenpairs(ends, "smallest", bill.paid(), seed)
        largest = eigenpairs(ends, "largest", bill.paid(), seed)
        vectors = torch.as_tensor(hessian.vectors, device=obj.layout.device)
        inside = torch.stack([G.matvec(v) for v in vectors]).cpu().numpy()
    shares, errors = _shares(hessian, inside, _norm(smallest, largest), noise)
    return GaussNewtonSplit(
        hessian=hessian,
        gauss_newton=gauss_newton,
        residual_smallest=smallest,
        residual_largest=largest,
        shares=shares,
        share_errors=errors,
        overlap=float(((hessian.vectors @ gauss_newton.vectors.T) ** 2).sum() / k),
        complete=hessian.complete and gauss_newton.complete and smallest.complete,
        seed=seed,
        **total.paid(),
    )


class _Nothing:
    """Ends the search in an operator that is nothing but rounding, which never converges."""

    def __init__(self, noise: float) -> None:
        self.noise, self.products = noise, 0

    def __call__(self, lowest: float, highest: float, rounding: float) -> bool:
        self.products += 1
        return self.products >= NOTHING_AFTER and max(-lowest, highest) <= self.noise


def _above(noise: float, ends: Ends) -> Ends:
    """A difference of two products is rounded as they are: its residuals and its zero say so."""
    low, high = (
        dataclasses.replace(
            end, residuals=end.residuals + noise, converged=end.converged | (end.residuals <= noise)
        )
        for end in (ends.lowest, ends.highest)
    )
    return dataclasses.replace(ends, lowest=low, highest=high, rounding=max(noise, ends.rounding))


def _norm(smallest: Eigenpairs, largest: Eigenpairs) -> float:
    """An upper estimate of ||R||."""
    ends = (smallest, largest)
    return max(abs(float(end.values[0])) + float(end.residuals[0]) for end in ends)


def _shares(
    hessian: Eigenpairs, inside: np.ndarray, norm: float, noise: float
) -> tuple[np.ndarray, np.ndarray]:
    r"""v^T G v / v^T H v = 1 - v^T R v / v^T H v, and its error.

    A unit v that is off by an angle of sine s <= residual / gap (Davis and Kahan 1970) changes v^T R v by
    at most 2 s ||R v|| + 2 s^2 ||R||, and by no more than 2 ||R|| whatever s is. Of the gap only the
    neighbours among the k values are known; below the last of them it is taken to be as above it.
    """
    values, vectors, residuals = hessian.values, hessian.vectors, hessian.residuals
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.einsum("kp,kp->k", vectors, inside) / values
        apart = np.abs(values[:, None] - values) + np.diag(np.full(len(values), np.inf))
        gap = apart.min(axis=1) if len(values) > 1 else np.abs(values)
        sine = np.minimum(1.0, residuals / gap)
        own = np.linalg.norm(values[:, None] * vectors - inside, axis=1) + residuals  # ||R v||
        change = np.minimum(2 * sine * own + 2 * sine**2 * norm, 2 * norm)
        errors = (change + noise + np.minimum(residuals, residuals**2 / gap)) / np.abs(values)
    unknown = np.abs(values) <= residuals
    return np.where(unknown, np.nan, shares), np.where(unknown, np.nan, errors)
