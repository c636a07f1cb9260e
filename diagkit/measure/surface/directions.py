"""Directions in parameter space along which surfaces are drawn."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from diagkit.errors import InputError
from diagkit.measure.price import finite_gradient
from diagkit.measure.spectrum import spectrum_ends
from diagkit.objective import Objective, check_seed

TINY = 1e-10  # Li et al. 2018, in the authors' code
ROUNDINGS = 1000  # of the dtype: H d that leaves d by less than so many is taken to be parallel to it


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


def downhill(obj: Objective) -> Tensor:
    """The unit vector -g / ||g|| [P].

    Raises
    ------
    InputError : the gradient is exactly 0, as at a symmetric start. NonFiniteError : it holds NaN or Inf.
    """
    gradient = finite_gradient(obj)
    norm = float(gradient.norm())
    if norm == 0.0:
        raise InputError(
            "the direction of a gradient that is exactly 0 here",
            allowed="a point where the gradient is not 0",
            write="the directions of curvature: 'eigenvectors' for a plane, 'lowest' for a line",
        )
    return (-gradient / norm).to(obj.layout.dtype)


def turn_of_gradient(obj: Objective, d: Tensor) -> Tensor | None:
    """The unit part of H d [P] orthogonal to the unit vector d; None where there is none but rounding.

    A step s along d changes the gradient by s H d: this is the direction into which it turns.
    """
    with obj.products(expected=1) as products:
        change = products.matvec(d).cpu().double()
    rest = orthogonal_to(d, change)
    rounding = ROUNDINGS * torch.finfo(obj.fixed.precision).eps
    if float(rest.norm()) <= rounding * float(change.norm()):
        return None
    return (rest / rest.norm()).to(d)


def orthogonal_to(d: Tensor, v: Tensor) -> Tensor:
    """The part of v [P] that is orthogonal to d [P], in float64 on the CPU, where v is."""
    unit = d.cpu().double()
    unit = unit / unit.norm()
    for _ in range(2):  # once more takes away what rounding of a long v left
        v = v - (unit @ v) * unit
    return v


def checked_direction(obj: Objective, direction: Any) -> Tensor:
    """A given direction [P], unchanged."""
    d = obj.layout.check(direction, "direction")
    if not bool(d.any()):
        raise InputError("a direction of zeros", allowed="a direction with at least one entry that is not 0")
    return d
