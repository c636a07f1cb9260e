"""Directions in parameter space along which surfaces are drawn."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from diagkit.errors import InputError
from diagkit.measure.spectrum import spectrum_ends
from diagkit.objective import Objective, check_seed

TINY = 1e-10  # Li et al. 2018, in the authors' code


def filter_normalized(obj: Objective, seed: int = 0) -> Tensor:
    r"""A random direction [P] in which every filter d is as long as the filter w it perturbs.

    d <- d ||w|| / (||d|| + 1e-10) for each row of a weight of two or more dimensions (a unit of a linear
    layer, a filter of a convolution); biases and normalization parameters, of one dimension or less, are
    left alone (Li et al. 2018, arXiv:1712.09913). Gaussian, not uniform. Rescaling the weights of a ReLU
    network leaves the surface along such directions unchanged.

    Raises
    ------
    InputError : all such weights are zero, so that the direction would be.
    """
    check_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for w in obj.layout.split(obj.theta).values():
        noise = torch.randn(w.shape, generator=generator, dtype=torch.float64).to(w)
        if w.ndim <= 1:
            parts.append(torch.zeros_like(w))
        else:
            rows, d = w.flatten(1), noise.flatten(1)
            scale = rows.norm(dim=1, keepdim=True) / (d.norm(dim=1, keepdim=True) + TINY)
            parts.append((d * scale).view_as(w))
    direction = obj.layout.join(parts)
    if not bool(direction.any()):
        raise InputError(
            "a filter-normalized direction at a point where all weights of two or more dimensions are zero",
            allowed="weights that are not all zero, or another kind of direction",
            write="directions='eigenvectors'",
        )
    return direction


def extreme_eigenvectors(obj: Objective, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Unit eigenvectors of the lowest and the highest curvature, each [P]; never renormalized."""
    ends = spectrum_ends(obj, 1, 1, seed=seed)
    return ends.lowest.vectors[0].to(obj.theta), ends.highest.vectors[0].to(obj.theta)


def plane_directions(obj: Objective, directions: Any, seed: int) -> tuple[Tensor, Tensor, str]:
    """Two directions [P] and the name of their kind."""
    if directions is None or (isinstance(directions, str) and directions == "random"):
        return filter_normalized(obj, seed), filter_normalized(obj, seed + 1), "random, filter-normalized"
    if isinstance(directions, str) and directions == "eigenvectors":
        low, high = extreme_eigenvectors(obj, seed)
        return low, high, "eigenvectors"
    allowed = "None, 'random', 'eigenvectors', or a pair of directions of shape [P]"
    if isinstance(directions, str):
        raise InputError(f"directions={directions!r}", allowed=allowed, write="directions='eigenvectors'")
    try:
        first, second = directions
    except (TypeError, ValueError) as error:
        raise InputError(f"directions of type {type(directions).__name__}", allowed=allowed) from error
    pair = checked_direction(obj, first), checked_direction(obj, second)
    cosine = float(pair[0] @ pair[1]) / float(pair[0].norm() * pair[1].norm())
    if abs(cosine) > 1 - 1e-6:
        raise InputError(
            f"two directions that are parallel (cosine {cosine:.6f})", allowed="directions that span a plane"
        )
    return *pair, "given"


def checked_direction(obj: Objective, direction: Any) -> Tensor:
    """A given direction [P], unchanged."""
    d = obj.layout.check(direction, "direction")
    if not bool(d.any()):
        raise InputError("a direction of zeros", allowed="a direction with at least one entry that is not 0")
    return d
