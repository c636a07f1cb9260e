"""Ten random planes at once, so that nobody believes a single one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.stats import binomtest
from torch import Tensor

from diagkit.measure.price import Bill, check_objective
from diagkit.measure.spectrum import Eigenpairs, hessian_eigenvalues
from diagkit.measure.surface.convexity import VISIBLE, bump
from diagkit.measure.surface.coordinates import check_grid
from diagkit.measure.surface.plane_slice import PlaneSlice, loss_plane
from diagkit.measure.surface.planes import random_plane
from diagkit.objective import Objective, check_count, check_positive, check_seed
from diagkit.result import Result, show_number
from diagkit.spectral import TraceEstimate, diagonal, hutchinson, sample
from diagkit.spectral.krylov import Matvec
from diagkit.work import interrupted, progress

if TYPE_CHECKING:
    import pandas as pd

PROBES = 100  # products for the expected curvature; with no more parameters than that it is exact
CONFIDENCE = 0.95


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class RandomPlanes(Result):
    r"""Loss planes through theta along independent pairs of random filter-normalized directions.

    Attributes
    ----------
    planes [count] : the pictures, all over the same coordinates.
    bumps [count] : how far the loss of a cell lies above the mean of two cells on either side of it, at most,
        as a fraction of the range of the loss; 0 of a convex surface.
    looks_convex [count] : the bump is below what can be seen, 1 %.
    convex_interval : 95 % confidence interval for the share of all such planes that look convex.
    hessians [count, 2, 2] : d_i^T H d_j of the two directions at the centre, by Hessian-vector products.
    curvature, curvature_sem : mean of d^T H d over all directions, and its standard error.
    expected_curvature, expected_sem : what it tends to, sum_f \|\|w_f\|\|^2 tr(H_ff) / n_f over filters f of
        n_f weights; from random probes, exact (an error of rounding) up to 100 parameters.
    lowest : the lowest eigenvalue found of the whole Hessian.
    """

    planes: tuple[PlaneSlice, ...]
    bumps: np.ndarray
    looks_convex: np.ndarray
    convex_interval: tuple[float, float]
    hessians: np.ndarray
    curvature: float
    curvature_sem: float
    expected_curvature: float
    expected_sem: float
    lowest: Eigenpairs

    @property
    def negative_curvature(self) -> bool:
        """A direction of negative curvature is proven: v^T H v below zero by more than rounding."""
        return bool(self.lowest.values[0] < -self.lowest.rounding)

    @property
    def explanation(self) -> str:
        """What the pictures show, and what they hide."""
        seen, count = int(self.looks_convex.sum()), len(self.planes)
        low, high = (f"{100 * x:.0f}" for x in self.convex_interval)
        value = show_number(float(self.lowest.values[0]), 2)
        shown = f"{seen} of {count} random planes look convex (of all such planes {low} to {high} %)"
        if not self.negative_curvature:
            return f"{shown}; no negative curvature was proven here either (lowest value found {value})."
        if not seen:
            return f"{shown}, and the Hessian has negative curvature ({value})."
        return (
            f"{shown}, yet the Hessian has negative curvature ({value}): a slice that looks convex does not "
            "imply that the loss is."
        )

    def summary(self) -> dict[str, Any]:
        return {
            "planes": len(self.planes),
            "look_convex": int(self.looks_convex.sum()),
            "convex_interval": self.convex_interval,
            "curvature": self.curvature,
            "curvature_sem": self.curvature_sem,
            "expected_curvature": self.expected_curvature,
            "lowest_eigenvalue": self.lowest.values[0],
            "num_evals": self.num_evals,
            "num_hvps": self.num_hvps,
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per plane: curvatures along its directions and across, the bump, looks_convex, its seed."""
        import pandas as pd

        return pd.DataFrame(
            {
                "curvature_a": self.hessians[:, 0, 0],
                "curvature_b": self.hessians[:, 1, 1],
                "twist": self.hessians[:, 0, 1],
                "bump": self.bumps,
                "looks_convex": self.looks_convex,
                "seed": [plane.seed for plane in self.planes],
            }
        )


def random_planes(
    obj: Objective,
    count: int = 10,
    *,
    extent: float = 1.0,
    resolution: int = 21,
    tol: float | None = 0.01,
    n_jobs: int = 1,
    seed: int = 0,
) -> RandomPlanes:
    r"""Look at ``count`` random planes: how many look convex, and is the Hessian?

    A random direction averages over all curvatures: E d^T H d = sum_f \|\|w_f\|\|^2 tr(H_ff) / n_f for
    filter-normalized d. A few large positive eigenvalues outweigh many small negative ones, and every picture
    shows a bowl. Li et al. 2018 (arXiv:1712.09913) warn of it; here it is counted.

    A plane looks convex where no cell lies above the mean of two cells on either side of it (along both axes
    and both diagonals, at all distances) by more than 1 % of the range of the loss. On digits networks what
    was interpolated with ``tol`` = 0.01 moved this by less than 0.3 %.

    Parameters
    ----------
    count : planes. extent, resolution, tol, n_jobs : of each, as in :func:`loss_plane`.

    Raises
    ------
    InputError : count < 1, what :func:`loss_plane` refuses, weights that are all zero.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> class Saddle(torch.nn.Module):  # L = (sum_i<20 w_i^2 - 2 w_20^2) / 2
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.w = torch.nn.Parameter(torch.eye(1, 20, dtype=torch.float64))  # one filter of length 1
    ...     def forward(self, inputs):
    ...         w = self.w[0] - torch.eye(1, 20)[0]
    ...         return (w.square().sum() / 2 - 1.5 * w[-1] ** 2).expand(len(inputs))
    >>> obj = dk.Objective(Saddle(), lambda out, _: out.mean(), (torch.zeros(2), torch.zeros(2)))
    >>> found = dk.random_planes(obj)
    >>> int(found.looks_convex.sum()), found.negative_curvature
    (10, True)
    >>> round(found.expected_curvature, 6)  # (19 - 2) / 20
    0.85
    """
    check_objective(obj)
    check_count("count", count, write="10")
    check_grid(extent, resolution)
    check_positive("tol", tol, write="0.01", optional=True)
    check_seed(seed)
    bill = Bill(obj)
    # Far apart, so that no two planes share a direction; halved, since a plane also uses the seed after.
    seeds = np.random.SeedSequence(int(seed)).generate_state(int(count)) >> 1
    planes: list[PlaneSlice] = []
    with progress("random planes", int(count)) as advance:
        for each in seeds.tolist():
            if planes and interrupted():
                break
            plane = loss_plane(
                obj, random_plane(obj, each), extent=extent, resolution=resolution, tol=tol, n_jobs=n_jobs
            )
            if planes and not plane.complete:
                break
            planes.append(plane)
            advance(1)
    hessians, expected = _curvatures(obj, planes, int(seed))
    bumps = np.array([bump(plane.loss) for plane in planes])
    looks_convex = bumps <= VISIBLE
    along = np.concatenate([hessians[:, 0, 0], hessians[:, 1, 1]])
    lowest = hessian_eigenvalues(obj, 1, which="smallest", seed=seed)
    share = binomtest(int(looks_convex.sum()), len(planes)).proportion_ci(CONFIDENCE, method="exact")
    return RandomPlanes(
        planes=tuple(planes),
        bumps=bumps,
        looks_convex=looks_convex,
        convex_interval=(float(share.low), float(share.high)),
        hessians=hessians,
        curvature=float(along.mean()),
        curvature_sem=float(along.std(ddof=1) / np.sqrt(len(along))),
        expected_curvature=expected.value,
        expected_sem=expected.sem,
        lowest=lowest,
        complete=len(planes) == count and planes[-1].complete and lowest.complete and not interrupted(),
        seed=seed,
        **bill.paid(),
    )


def _curvatures(obj: Objective, planes: list[PlaneSlice], seed: int) -> tuple[np.ndarray, TraceEstimate]:
    """d_i^T H d_j [count, 2, 2], and the mean of d^T H d over all filter-normalized d."""
    hessians = np.full((len(planes), 2, 2), np.nan)
    with obj.products(expected=2 * len(planes) + PROBES) as H:
        for k, plane in enumerate(planes):
            D = torch.as_tensor(plane.directions)
            HD = torch.stack([H.matvec(d.to(obj.theta)).cpu().double() for d in D])
            hessians[k] = ((D @ HD.T + HD @ D.T) / 2).numpy()
            if interrupted():
                break
        options: dict[str, Any] = {"dtype": obj.fixed.precision, "device": obj.layout.device, "seed": seed}
        draw = diagonal if obj.num_params <= PROBES else hutchinson
        estimator = draw(_scaled(H.matvec, _root_of_scale(obj)), obj.num_params, **options)
        sample(estimator, PROBES)
        return hessians, estimator.estimate()


def _root_of_scale(obj: Objective) -> Tensor:
    """||w_f|| / sqrt(n_f) for each weight of filter f, 0 for parameters left alone, [P]."""
    parts = []
    for w in obj.layout.split(obj.theta).values():
        rows = w.double().flatten(1) if w.ndim > 1 else torch.zeros(1, w.numel())
        scale = rows.norm(dim=1, keepdim=True) / rows.shape[1] ** 0.5
        parts.append(scale.expand(rows.shape).reshape(-1))
    return torch.cat([part.cpu().double() for part in parts])


def _scaled(matvec: Matvec, root: Tensor) -> Matvec:
    """v -> R H R v, with R = diag(root): its trace is E d^T H d."""

    def product(v: Tensor) -> Tensor:
        r = root.to(v)
        return r * matvec(r * v)

    return product
