"""How are all curvatures spread? The spectral density of the Hessian, with the spread between probes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from diagkit.measure.operator_ends import basis_memory
from diagkit.measure.price import Bill, check_objective
from diagkit.objective import Objective, check_count, check_positive, check_seed
from diagkit.result import Result
from diagkit.spectral import Quadrature, broadened, exact_quadrature, stochastic_lanczos_quadrature

if TYPE_CHECKING:
    import pandas as pd

DENSE = 2000  # parameters up to which all eigenvalues are computed where the products allow it
# Gauss nodes of a spectrum without gaps lie pi / 2 * spread / steps apart in its middle. Half of that is
# the least width at which their Gaussians melt into one curve (2 % ripple): narrower ones would be taken for
# eigenvalues.
WIDTH = np.pi / 4
NARROWEST = 1e-6  # of the largest |node|: a grid in float64 must still tell its points apart
REACH = 5.0  # standard deviations that the grid goes on beyond the last node; 6e-7 lies outside


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class SpectralDensity(Result):
    r"""How the eigenvalues of the Hessian are spread: phi(x) = (1/P) sum_i N(x; lambda_i, sigma^2).

    Attributes
    ----------
    grid [n], density [n] : phi on an even grid; the integral over the grid (trapezoids) is 1.
    sem [n] : standard error between probes; inf from one probe, 0 where ``exact``. It does not hold what the
        quadrature blurs: features narrower than ``sigma``.
    sigma : standard deviation of the Gaussian that stands for each eigenvalue.
    nodes, weights [num_probes, steps] : Ritz values and weights behind the curve, each row summing to 1.
        Every node lies within the spectrum. Rows that ended early are padded with NaN at weight 0.
    mean, mean_sem : tr H / P. second_moment, second_moment_sem : ||H||_F^2 / P.
    num_params : P. rounding : what rounding may move a node by.
    exact : ``nodes`` [1, P] are all the eigenvalues.
    """

    grid: np.ndarray
    density: np.ndarray
    sem: np.ndarray
    sigma: float
    nodes: np.ndarray
    weights: np.ndarray
    mean: float
    mean_sem: float
    second_moment: float
    second_moment_sem: float
    num_params: int
    rounding: float
    exact: bool

    @property
    def lower(self) -> np.ndarray:
        """Lower edge [n] of the band of two standard errors, not below 0."""
        return np.maximum(self.density - 2 * self.sem, 0.0)

    @property
    def upper(self) -> np.ndarray:
        """Upper edge [n] of the band of two standard errors."""
        return self.density + 2 * self.sem

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest node: the spectrum reaches at least so far."""
        return float(np.nanmin(self.nodes)), float(np.nanmax(self.nodes))

    def summary(self) -> dict[str, Any]:
        return {
            "smallest node": self.range[0],
            "largest node": self.range[1],
            "mean": self.mean,
            "mean_sem": self.mean_sem,
            "sigma": self.sigma,
            "probes": "exact" if self.exact else len(self.nodes),
            "num_hvps": self.num_hvps,
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per grid point: density, lower, upper."""
        import pandas as pd

        return pd.DataFrame(
            {"density": self.density, "lower": self.lower, "upper": self.upper},
            index=pd.Index(self.grid, name="curvature"),
        )


def hessian_density(
    obj: Objective,
    *,
    num_probes: int = 10,
    steps: int = 80,
    num_points: int = 1024,
    sigma: float | None = None,
    seed: int = 0,
) -> SpectralDensity:
    r"""The spectral density of the Hessian H(theta) [P, P] of L, by stochastic Lanczos quadrature.

    phi(x) ~ (1/num_probes) sum_l sum_j w_lj N(x; theta_lj, sigma^2), with the nodes theta_lj and weights w_lj
    of ``steps`` Lanczos steps, fully reorthogonalized, from the l-th random start (Ubaru, Chen and Saad 2017;
    for networks Ghorbani, Krishnan and Xiao 2019, arXiv:1901.10159). Where P is at most 2000 and P products
    are no more than num_probes * steps, all eigenvalues are computed instead: ``exact``.

    Parameters
    ----------
    num_probes, steps : products are num_probes * steps at most; ``steps`` is lowered where the basis would
        exceed 4 GB. num_points : points of the grid.
    sigma : width of the Gaussians, in units of curvature. None: pi/4 * spread / steps, the least at which a
        spectrum without gaps does not fall apart into its nodes. Never below the spacing of the grid; the
        result says which was used.

    Raises
    ------
    InputError : fewer than 2 probes, 2 steps or 16 points; a sigma that is not positive.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> w = torch.nn.Linear(2, 1, bias=False)
    >>> X = torch.tensor([[2.0, 0.0], [0.0, 1.0]])  # L = (1/2) sum (x.w - y)^2, H = X^T X
    >>> found = dk.hessian_density(dk.Objective(w, torch.nn.MSELoss(), (X, torch.zeros(2, 1))))
    >>> found.nodes.round(5), found.mean, found.second_moment
    (array([[1., 4.]]), 2.5, 8.5)
    >>> round(float(found.density.sum() * (found.grid[1] - found.grid[0])), 5)
    1.0
    """
    check_objective(obj)
    check_count("num_probes", num_probes, least=2)
    check_count("steps", steps, least=2)
    check_count("num_points", num_points, least=16)
    check_positive("sigma", sigma, write="None", optional=True)
    check_seed(seed)
    size, bill = obj.num_params, Bill(obj)
    steps = max(2, min(steps, basis_memory(obj) // (8 * size)))
    quadrature: Quadrature | None = None
    with obj.products() as H:
        options: dict[str, Any] = {
            "dtype": obj.fixed.precision,
            "device": obj.layout.device,
            "seed": seed,
        }
        if size <= min(DENSE, num_probes * steps):
            quadrature = exact_quadrature(H.matvec, size, **options)
        if quadrature is None:
            quadrature = stochastic_lanczos_quadrature(
                H.matvec, size, num_probes=num_probes, steps=steps, **options
            )
    low, high = np.nanmin(quadrature.nodes), np.nanmax(quadrature.nodes)
    grid, sigma = _grid(low, high, WIDTH * (high - low) / steps if sigma is None else sigma, num_points)
    curves = broadened(quadrature, grid, sigma)
    first, second = quadrature.moments(1), quadrature.moments(2)
    return SpectralDensity(
        grid=grid,
        density=curves.mean(axis=0),
        sem=_sem(curves, quadrature),
        sigma=sigma,
        nodes=quadrature.nodes,
        weights=quadrature.weights,
        mean=float(first.mean()),
        mean_sem=float(_sem(first, quadrature)),
        second_moment=float(second.mean()),
        second_moment_sem=float(_sem(second, quadrature)),
        num_params=size,
        rounding=quadrature.rounding,
        exact=quadrature.exact,
        complete=quadrature.complete,
        seed=seed,
        **bill.paid(),
    )


def _sem(samples: np.ndarray, quadrature: Quadrature) -> np.ndarray:
    """Standard error of the mean over probes [n, ...] -> [...]."""
    if quadrature.exact:
        return np.zeros(samples.shape[1:])
    if len(samples) < 2:
        return np.full(samples.shape[1:], np.inf)
    return samples.std(axis=0, ddof=1) / np.sqrt(len(samples))


def _grid(low: float, high: float, sigma: float, num_points: int) -> tuple[np.ndarray, float]:
    """An even grid over all nodes and their Gaussians, and the width of these that it resolves."""
    scale = max(abs(low), abs(high)) or 1.0
    # The spacing of a grid that reaches REACH sigma beyond both ends must not exceed sigma.
    resolved = (high - low) / (num_points - 1 - 2 * REACH)
    sigma = float(max(sigma, resolved, NARROWEST * scale))
    return np.linspace(low - REACH * sigma, high + REACH * sigma, num_points), sigma
