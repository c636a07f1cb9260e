"""What surrounds a point: its kind, the loss along the extreme curvatures and at random, and their plane."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from diagkit.measure.critical_points import CriticalPoint, classify_critical_point
from diagkit.measure.escape import escape_saddle
from diagkit.measure.price import check_objective
from diagkit.measure.surface import LineSlice, Plane, PlaneSlice, loss_line, refine_loss_plane
from diagkit.objective import Objective, check_count
from diagkit.spectral.random_vectors import on_sphere
from diagkit.work import interrupted

DIRECTIONS = ("lowest", "highest", "random")
BEYOND = 1.5  # times the step after which the loss no longer falls
SHARE = 0.5  # of the length of theta, where no step is known
FROM_ZERO = 2.0  # where theta is 0 as well


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What is known so far of the place around a point.

    Attributes
    ----------
    point : what kind of place it is. reach : how far lines and plane go, in the units of theta.
    lines : "lowest", "highest", "random" -> the loss along that unit vector, with its parabola.
    plane : of the two extreme curvatures; None before it is measured, and where P = 1.
    complete : nothing is missing.
    """

    point: CriticalPoint
    reach: float
    lines: Mapping[str, LineSlice] = field(default_factory=dict)
    plane: PlaneSlice | None = None
    complete: bool = False

    def step(self, direction: str, share: float) -> tuple[float, float, float] | None:
        """t = ``share`` of the reach along a direction, the parabola and the loss there; None if unknown.

        Between the samples both are read off straight.
        """
        line = self.lines.get(direction)
        if line is None or line.parabola is None:
            return None
        t = share * self.reach
        return t, float(np.interp(t, line.t, line.parabola)), float(np.interp(t, line.t, line.loss))


def look_around(
    obj: Objective, *, resolution: int = 41, tol: float = 0.03, seed: int = 0
) -> Iterator[Surroundings]:
    r"""The kind of place, then the loss along three unit vectors, then over a plane: coarse, then refined.

    Along a unit vector d the second derivative foretells

    .. math:: L(\theta + t d) \approx L(\theta) + t\, g^\top d + \tfrac12 t^2\, d^\top H d .

    The lowest curvature is where a saddle leads down; a random d has on average the curvature tr H / P, which
    is next to nothing in a large network. They reach half as far again as the step that
    :func:`diagkit.escape_saddle` takes, and where it takes none, half the length of theta.

    Parameters
    ----------
    resolution : points on a line; half as many of the plane along each axis.
    tol : of the plane, see :func:`diagkit.loss_plane`.
    seed : of the search for curvatures and of the random direction.

    Raises
    ------
    InputError : resolution below 5.

    Example
    -------
    >>> import diagkit as dk
    >>> *_, last = look_around(dk.Objective(*dk.clinic.two_weights()))  # L = (w1 w2 - 1)^2 / 2 at 0
    >>> last.point.verdict, round(last.reach, 1), last.complete
    ('saddle', 2.1, True)
    >>> t, parabola, loss = last.step("lowest", 0.5)
    >>> abs(parabola - (0.5 - t**2 / 2)) < 1e-9, abs(loss - (t**2 / 2 - 1) ** 2 / 2) < 1e-2
    (True, True)
    """
    check_objective(obj)
    check_count("resolution", resolution, least=5, write="41")
    point = classify_critical_point(obj, seed=seed)
    escape = escape_saddle(obj, point, seed=seed)
    size = float(obj.theta.double().norm())
    reach = BEYOND * abs(escape.step) if escape.escaped else SHARE * size or FROM_ZERO
    found = Surroundings(point, reach)
    yield found
    vectors = _directions(obj, point, seed)
    for name, vector in vectors.items():
        line = loss_line(obj, vector, extent=reach, resolution=resolution, parabola=True)
        kind = "given" if name == "random" else f"{name} curvature"
        found = replace(found, lines={**found.lines, name: replace(line, kind=kind)})
    yield found
    if interrupted():
        return  # of a spectrum that was cut short, both ends may be the same vector
    if obj.num_params == 1:
        yield replace(found, complete=point.complete)
        return
    plane = Plane(obj.theta, vectors["lowest"], vectors["highest"], "eigenvectors", seed=seed)
    for number, picture in enumerate(
        refine_loss_plane(obj, plane, extent=reach, resolution=resolution // 2 + 1, tol=tol, seed=seed)
    ):
        found = replace(found, plane=picture, complete=picture.complete and point.complete)
        if number == 0:
            yield found
    yield found


def _directions(obj: Objective, point: CriticalPoint, seed: int) -> dict[str, Tensor]:
    """Unit vectors [P]. Where all curvatures are 0, every vector has the lowest: random ones."""
    drawn = on_sphere(obj.num_params, torch.device("cpu"), seed)
    low, high = (torch.as_tensor(ends.vectors[0]).cpu() for ends in (point.smallest, point.largest))
    flat = max(abs(point.smallest.values[0]), abs(point.largest.values[0])) <= point.smallest.rounding
    if flat and obj.num_params > 1:
        low = next(drawn)
        high = next(drawn)
        high = high - (high @ low) * low
        high = high / high.norm()
    return {
        name: d.to(obj.theta)
        for name, d in zip(DIRECTIONS, (low.double(), high.double(), next(drawn)), strict=True)
    }
