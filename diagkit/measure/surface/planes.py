"""Planes that answer a question: random, of curvature, of the gradient, through other checkpoints."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diagkit.errors import InputError
from diagkit.measure.surface.checkpoint import theta_of
from diagkit.measure.surface.directions import (
    checked_direction,
    downhill,
    extreme_eigenvectors,
    filter_normalized,
    orthogonal_to,
    turn_of_gradient,
)
from diagkit.measure.surface.plane import HERE, Bounds, Mark, Plane
from diagkit.objective import Objective, check_seed
from diagkit.spectral.random_vectors import on_sphere

MARGIN = 0.25  # around known points, as a share of the longer side of their box


def random_plane(obj: Objective, seed: int = 0) -> Plane:
    """Two random filter-normalized directions (Li et al. 2018, arXiv:1712.09913)."""
    d1, d2 = filter_normalized(obj, seed), filter_normalized(obj, seed + 1)
    return Plane(obj.theta, d1, d2, "random, filter-normalized", seed=seed)


def eigenvector_plane(obj: Objective, seed: int = 0) -> Plane:
    """Along a the lowest curvature, the way off a saddle; along b the highest; of unit length."""
    low, high = extreme_eigenvectors(obj, seed)
    return Plane(obj.theta, low, high, "eigenvectors", seed=seed)


def gradient_plane(obj: Objective, seed: int = 0) -> Plane:
    """Along a downhill, d1 = -g / ||g||; along b where the gradient turns when one follows it.

    d2 is the unit part of H d1 orthogonal to d1. Where d1 is an eigenvector the gradient does not turn, and
    d2 is a random orthogonal direction, which ``kind`` says.

    Raises
    ------
    InputError : the gradient is exactly 0.
    """
    d1 = downhill(obj)
    d2 = turn_of_gradient(obj, d1)
    if d2 is not None:
        return Plane(obj.theta, d1, d2, "gradient and its turn")
    across = orthogonal_to(d1, next(on_sphere(obj.num_params, torch.device("cpu"), seed)))
    d2 = (across / across.norm()).to(d1)
    return Plane(obj.theta, d1, d2, "gradient, which does not turn, and random", seed=seed)


def plane_between(obj: Objective, to: Any, seed: int = 0) -> Plane:
    """Through here, (0, 0), and another point, (1, 0); across, a random filter-normalized direction.

    The picture shows as much along b as along a, measured in parameter space.

    Raises
    ------
    InputError : the other point is this one.
    """
    other = theta_of(obj, to)
    d1 = other - obj.theta
    _refuse_same(d1, "to")
    weighty = any(bool(w.any()) for w in obj.layout.split(obj.theta).values() if w.ndim > 1)
    d2 = filter_normalized(obj if weighty else obj.at(other), seed)  # a saddle at 0 has no filters to follow
    reach = (0.5 + MARGIN) * float(d1.norm() / d2.norm())
    bounds = ((-MARGIN, 1.0 + MARGIN), (-reach, reach))
    return Plane(obj.theta, d1, d2, "between two points", bounds, (HERE, Mark("other", 1.0, 0.0)), seed)


def plane_through(obj: Objective, second: Any, third: Any) -> Plane:
    """Through three points: here (0, 0), the second (1, 0), the third wherever it lies.

    The basis is orthogonal and both directions are as long as ||theta2 - theta||, so that the picture is not
    distorted.

    Raises
    ------
    InputError : the points lie on one line, or two of them are the same.
    """
    d1, w = (
        theta_of(obj, point, "to").cpu().double() - obj.theta.cpu().double() for point in (second, third)
    )
    _refuse_same(d1, "to[0]")
    _refuse_same(w, "to[1]")
    across, length = orthogonal_to(d1, w), d1.norm()
    rounding = 1e3 * torch.finfo(obj.layout.dtype).eps
    if float(across.norm()) <= rounding * float(torch.maximum(w.norm(), length)):
        raise InputError(
            "three points on one line",
            allowed="points that span a plane",
            write="loss_line(obj, to=theta2), or to=theta2 for a plane with a random direction across",
        )
    d2 = across * (length / across.norm())
    marks = (
        HERE,
        Mark("second", 1.0, 0.0),
        Mark("third", float(w @ d1 / length**2), float(across.norm() / length)),
    )
    kind = "through three points"
    return Plane(obj.theta, d1.to(obj.theta), d2.to(obj.theta), kind, square_around(marks), marks)


def square_around(marks: tuple[Mark, ...]) -> Bounds:
    """Equal sides along a and b that hold all marks and a margin."""
    places = np.array([(mark.a, mark.b) for mark in marks])
    low, high = places.min(axis=0), places.max(axis=0)
    middle, reach = (low + high) / 2, (0.5 + MARGIN) * float((high - low).max())
    (a, b), r = middle.tolist(), reach
    return (a - r, a + r), (b - r, b + r)


def as_plane(obj: Objective, directions: Any = None, *, to: Any = None, seed: int = 0) -> Plane:
    """The plane that ``directions`` or ``to`` mean.

    Parameters
    ----------
    directions : None or "random" (:func:`random_plane`), "eigenvectors" (:func:`eigenvector_plane`),
        "gradient" (:func:`gradient_plane`), two vectors [P], used unchanged, a :class:`Plane`, or a result
        that has one, such as that of ``trajectory_plane``.
    to : another point (:func:`plane_between`), or two (:func:`plane_through`), each a vector [P], an
        Objective, a module or a state_dict.

    Raises
    ------
    InputError : both, or something else; directions that span no plane; points on a line.
    """
    check_seed(seed)
    if obj.num_params < 2:
        raise InputError("a plane of one parameter", allowed="P >= 2", write="loss_line(obj, [1.0])")
    if to is not None:
        if directions is not None:
            raise InputError(
                "both directions and to", allowed="one of them", write="loss_plane(obj, to=theta2)"
            )
        points = _two_points(to)
        return plane_between(obj, to, seed) if points is None else plane_through(obj, *points)
    if directions is None:
        return random_plane(obj, seed)
    if isinstance(directions, str):
        if directions not in NAMED:
            raise InputError(f"directions={directions!r}", allowed=ALLOWED, write="directions='eigenvectors'")
        return NAMED[directions](obj, seed)
    plane = getattr(directions, "plane", directions)
    if isinstance(plane, Plane):
        if plane.num_params != obj.num_params:
            raise InputError(
                f"a plane with {plane.num_params} parameters",
                allowed=f"P = {obj.num_params}, as the objective",
            )
        return plane
    try:
        first, second = directions
    except (TypeError, ValueError) as error:
        raise InputError(f"directions of type {type(directions).__name__}", allowed=ALLOWED) from error
    return Plane(obj.theta, checked_direction(obj, first), checked_direction(obj, second))


NAMED = {"random": random_plane, "eigenvectors": eigenvector_plane, "gradient": gradient_plane}
ALLOWED = "None, 'random', 'eigenvectors', 'gradient', a Plane, or a pair of directions of shape [P]"


def _two_points(to: Any) -> tuple[Any, Any] | None:
    """(theta2, theta3) where ``to`` is a pair of points and not one vector of two numbers."""
    if isinstance(to, Tensor | np.ndarray):
        return (to[0], to[1]) if to.ndim == 2 and len(to) == 2 else None
    if not isinstance(to, tuple | list) or len(to) != 2 or all(isinstance(x, Real) for x in to):
        return None
    return to[0], to[1]


def _refuse_same(offset: Tensor, name: str) -> None:
    if not bool(offset.any()):
        raise InputError(f"{name}, which is this very point", allowed="another set of parameters")
