"""The highest loss in a ball around theta: what sharpness-aware minimization (SAM) descends on."""

from __future__ import annotations

import torch
from torch import Tensor

from diagkit.measure.sharpness.frank_wolfe import climb_in_ball
from diagkit.measure.sharpness.measured import Passes
from diagkit.measure.sharpness.neighbourhood import HighestLoss, Neighbourhood, Search, Start, highest
from diagkit.measure.spectrum import Eigenpairs
from diagkit.objective import Objective
from diagkit.spectral.random_vectors import on_sphere
from diagkit.work import interrupted, progress


def sam_sharpness(
    obj: Objective, start: Start, largest: Eigenpairs, *, rho: float, num_random: int, steps: int, seed: int
) -> HighestLoss:
    r"""max over ||e|| <= rho of L(theta + e) - L(theta) (Foret et al. 2021, arXiv:2010.01412).

    ``largest`` : the top eigenpair of H. The rest is as in :func:`highest_in_ellipsoid`, with T = I.
    """
    scale = torch.ones_like(start.gradient)
    top = float(largest.values[0]), torch.as_tensor(largest.vectors[0]).to(scale)
    return highest_in_ellipsoid(
        obj, start, scale, top, rho=rho, num_random=num_random, steps=steps, passes=Passes(obj), seed=seed
    )


def highest_in_ellipsoid(
    obj: Objective,
    start: Start,
    scale: Tensor,
    top: tuple[float, Tensor],
    *,
    rho: float,
    num_random: int,
    steps: int,
    passes: Passes,
    seed: int,
) -> HighestLoss:
    r"""max over ||T^-1 e|| <= rho of L(theta + e) - L(theta), T = diag(``scale``) [P].

    Searches start from the gradient's direction (SAM's one step), from both signs of the top eigenvector of
    T H T, and from ``num_random`` random directions. If the loss were linear the maximum would be
    rho ||T g||; if it were quadratic, at most that plus (1/2) rho^2 lambda_max(T H T), and exactly this at a
    critical point.

    Parameters
    ----------
    top : largest eigenvalue of T H T and its unit eigenvector [P]. steps : of each search, at most.
    """
    hood = Neighbourhood(obj, start, lambda s: rho * scale * s, lambda g: rho * scale * g)
    slope = hood.slope_at_start()
    size, (curvature, vector) = float(slope.norm()), top
    spheres = on_sphere(obj.num_params, slope.device, seed)
    starts = [slope / size] if size else []
    starts += [vector, -vector, *(next(spheres).to(slope) for _ in range(num_random))]
    one_step = hood.rise(starts[0]) if size else float("nan")
    found: list[Search] = []
    with progress("highest loss in a ball: searches", len(starts)) as advance:
        for s in starts:
            found.append(climb_in_ball(hood, s, steps))
            advance(1)
            if interrupted():
                break
    return highest(
        hood,
        found,
        len(starts),
        passes,
        linear_model=size,
        quadratic_bound=size + 0.5 * rho**2 * max(curvature, 0.0),
        one_step=one_step,
    )
