"""The highest loss where every parameter moves in proportion to itself: adaptive sharpness (ASAM)."""

from __future__ import annotations

from torch import Tensor

from diagkit.measure.operator_ends import operator_ends
from diagkit.measure.sharpness.measured import Passes
from diagkit.measure.sharpness.neighbourhood import HighestLoss, Start
from diagkit.measure.sharpness.sam import highest_in_ellipsoid
from diagkit.objective import Objective


def adaptive_sharpness(
    obj: Objective,
    start: Start,
    *,
    rho: float,
    offset: float,
    num_random: int,
    steps: int,
    tol: float,
    seed: int,
) -> HighestLoss:
    r"""max over ||T^-1 e|| <= rho of L(theta + e) - L(theta), T = diag(\|theta\| + offset).

    Kwon et al. 2021 (arXiv:2102.11600), who take offset 0.01. With offset 0 the ellipsoid moves along with
    every rescaling theta_i -> c_i theta_i that leaves the loss alone, so that its maximum does not change at
    all; parameters that are 0 then stay where they are. Seeds of the searches live in the unit ball, so that
    these find the same maximum before and after.
    """
    passes = Passes(obj)
    scale = obj.theta.to(start.gradient).abs() + offset

    def scaled(v: Tensor) -> Tensor:
        return scale * H.matvec(scale * v)

    with obj.products() as H:
        ends = operator_ends(obj, scaled, 0, 1, tol=tol, seed=seed)
    top = float(ends.highest.values[0]), ends.highest.vectors[0].to(scale)
    return highest_in_ellipsoid(
        obj, start, scale, top, rho=rho, num_random=num_random, steps=steps, passes=passes, seed=seed
    )
