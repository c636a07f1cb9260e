"""Which curvatures does the loss have at this point? The ends of the Hessian's spectrum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from torch import Tensor

from diagkit.errors import InputError
from diagkit.measure.operator_ends import basis_rows, expected_products, operator_ends
from diagkit.measure.price import Bill, Price, check_objective
from diagkit.objective import Objective, check_count, check_positive, check_seed
from diagkit.result import Result
from diagkit.spectral import End, Ends, kato_temple_intervals, residual_intervals

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Eigenpairs(Result):
    """Eigenvalues of the Hessian with their residuals.

    Attributes
    ----------
    values [k] : most extreme first. vectors [k, P] : unit rows, in the layout of ``obj.theta``.
    residuals [k] : ||H v - value v|| plus a rounding bound; a true eigenvalue lies within it.
    converged [k] : residual small enough for ``tol``.
    rounding : what rounding alone may move an eigenvalue by; a sign is claimed only beyond it.
    scale : estimate of ||H||.
    multiplicities_seen : repeated eigenvalues are listed as often as they occur; if False copies were not
        looked for, and a value may occur more often than it is listed.
    """

    values: np.ndarray
    vectors: np.ndarray
    residuals: np.ndarray
    converged: np.ndarray
    which: str
    rounding: float
    scale: float
    multiplicities_seen: bool

    @property
    def intervals(self) -> np.ndarray:
        """[k, 2], values -+ residuals: in each lies an eigenvalue, whatever the rest of the spectrum."""
        return residual_intervals(self.values, self.residuals)

    @property
    def kato_temple(self) -> np.ndarray:
        r"""[k, 2], often far narrower, *if* each value stands for one eigenvalue and none is missing.

        [theta - rho^2 / gap, theta + rho^2 / gap], the gap reaching to the intervals of the listed neighbours
        (Kato 1949, Temple 1928). Not proven by the run itself: eigenvalues closer together than the residual
        are listed as one, which may then lie between them. For the last value, whose next neighbour is
        unknown, and where intervals overlap, these are :attr:`intervals`.
        """
        whole = self.vectors.shape == (len(self.values), len(self.values))
        if self.which == "smallest":
            flipped = kato_temple_intervals(-self.values, self.residuals, self.rounding, whole=whole)
            return -flipped[:, ::-1]
        return kato_temple_intervals(self.values, self.residuals, self.rounding, whole=whole)

    def summary(self) -> dict[str, Any]:
        return {
            "values": self.values,
            "residuals": self.residuals,
            "converged": bool(self.converged.all()),
            "copies": "listed" if self.multiplicities_seen else "not looked for",
            "num_hvps": self.num_hvps,
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per eigenvalue: value, residual, converged."""
        import pandas as pd

        return pd.DataFrame(
            {"value": self.values, "residual": self.residuals, "converged": self.converged},
            index=pd.RangeIndex(1, len(self.values) + 1, name=self.which),
        )


def hessian_eigenvalues(
    obj: Objective,
    k: int = 5,
    *,
    which: Literal["largest", "smallest"] = "largest",
    tol: float = 1e-3,
    max_hvps: int | None = None,
    seed: int = 0,
) -> Eigenpairs:
    r"""The k algebraically largest or smallest eigenvalues of the Hessian H(theta) [P, P] of L.

    Lanczos with full reorthogonalization and explicit residuals. A value is converged where its residual
    ||H v - lambda v|| <= tol * max(|lambda|, ||H|| / 100) at the largest end and tol * ||H|| at the
    smallest. "Largest" means most positive, not largest in magnitude.

    Parameters
    ----------
    tol : relative residual asked for. max_hvps : ceiling on the products (default: 300). seed : of the random
        start. The basis holds P float64 numbers per product, up to half of the objective's ``memory_budget``;
        beyond that it is compressed on the way, which takes more products. :func:`estimate_cost` says how
        large it will be.

    Raises
    ------
    InputError : k outside 1..P, an unknown ``which``, tol not positive.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> w = torch.nn.Linear(2, 1, bias=False)
    >>> X = torch.tensor([[2.0, 0.0], [0.0, 1.0]])  # L = (1/2) sum (x.w - y)^2, H = X^T X
    >>> obj = dk.Objective(w, torch.nn.MSELoss(), (X, torch.zeros(2, 1)))
    >>> dk.hessian_eigenvalues(obj, k=2).values.round(5)
    array([4., 1.])
    """
    check_objective(obj)
    if which not in ("largest", "smallest"):
        raise InputError(f"which={which!r}", allowed="'largest' or 'smallest'", write="which='smallest'")
    if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or not 1 <= k <= obj.num_params:
        raise InputError(f"k = {k!r}", allowed=f"an integer, 1 <= k <= P = {obj.num_params}", write="k=1")
    bill = Bill(obj)
    lowest, highest = (k, 0) if which == "smallest" else (0, k)
    ends = spectrum_ends(obj, int(lowest), int(highest), tol=tol, max_hvps=max_hvps, seed=seed)
    return eigenpairs(ends, which, bill.paid(), seed)


def spectrum_ends(
    obj: Objective,
    num_lowest: int,
    num_highest: int,
    *,
    tol: float = 1e-3,
    max_hvps: int | None = None,
    seed: int = 0,
    observe: Callable[[Tensor, Tensor], None] | None = None,
) -> Ends:
    """Both ends from one Krylov space. ``observe`` is shown each vector and its product."""
    check_positive("tol", tol, write="1e-3")
    check_count("max_hvps", max_hvps, optional=True)
    check_seed(seed)

    def matvec(v: Tensor) -> Tensor:
        product = products.matvec(v)
        if observe is not None:
            observe(v, product)
        return product

    wanted = num_lowest + num_highest
    reserve = 8 * obj.num_params * basis_rows(obj, wanted)
    with obj.products(expected=expected_products(wanted)[1], reserve=reserve) as products:
        return operator_ends(obj, matvec, num_lowest, num_highest, tol=tol, seed=seed, max_products=max_hvps)


def eigenpairs(ends: Ends, which: str, price: Price, seed: int | None) -> Eigenpairs:
    """One end of the spectrum as a result."""
    end: End = ends.lowest if which == "smallest" else ends.highest
    return Eigenpairs(
        values=end.values,
        vectors=end.vectors.cpu().numpy(),
        residuals=end.residuals,
        converged=end.converged,
        which=which,
        rounding=ends.rounding,
        scale=ends.scale,
        multiplicities_seen=ends.multiplicities_seen,
        complete=ends.complete,
        seed=seed,
        **price,
    )
