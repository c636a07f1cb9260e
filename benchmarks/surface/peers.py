"""Each peer's own call, and the plane that it draws, so that ``dk.loss_plane`` can draw the very same one."""

from __future__ import annotations

import contextlib
import copy
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.curvature.models import Trained
from benchmarks.surface.cases import RESOLUTION, Surface, objective
from diagkit.measure.surface.plane import Plane

Grid = tuple[np.ndarray, np.ndarray]  # a [n], b [n], in units of the plane's directions


@dataclass
class Drawing:
    """``run`` -> [n, n], of ``surface``; ``claimed``: the grids that its values may be meant for.

    More than one where nothing is returned that says which.
    """

    name: str
    surface: Surface
    run: Callable[[], np.ndarray]
    claimed: tuple[Grid, ...]


def flat(parts: object) -> Tensor:
    return torch.cat([p.detach().flatten() for p in parts])  # type: ignore[attr-defined]


def moved(model: nn.Module, theta: Tensor) -> nn.Module:
    other = copy.deepcopy(model)
    nn.utils.vector_to_parameters(theta, other.parameters())
    return other


def walked(extent: float) -> tuple[Grid, ...]:
    """The grid that loss-landscapes says it walks: start + i d1 + j d2; the first node may be 0 or 1."""
    nodes = -extent + 2 * extent / RESOLUTION * np.arange(RESOLUTION + 1)
    return ((nodes[:-1], nodes[:-1]), (nodes[:-1], nodes[1:]))


def loss_landscapes_given(case: Trained, surface: Surface) -> Drawing:
    """``planar_interpolation`` takes a plane by three of its points: corners of the picture."""
    from loss_landscapes import planar_interpolation
    from loss_landscapes.metrics import Loss

    plane, e = surface.plane, surface.extent

    def run() -> np.ndarray:
        corners = [moved(case.model, plane.point(a, b)) for a, b in ((-e, -e), (e, -e), (-e, e))]
        return planar_interpolation(*corners, Loss(case.loss_fn, case.X, case.y), steps=RESOLUTION)

    return Drawing("loss-landscapes, planar_interpolation", surface, run, walked(e))


def loss_landscapes_random(case: Trained, extent: float, seed: int) -> Drawing:
    """``random_plane``; its ``distance`` divides: the picture's side is the norm of theta over it."""
    from loss_landscapes import random_plane
    from loss_landscapes.metrics import Loss
    from loss_landscapes.model_interface.model_parameters import ModelParameters, orthogonal_to, rand_u_like

    def run() -> np.ndarray:
        torch.manual_seed(seed)
        metric = Loss(case.loss_fn, case.X, case.y)
        # Without the copy it would leave the model displaced.
        return random_plane(case.model, metric, distance=0.5 / extent, steps=RESOLUTION, deepcopy_model=True)

    torch.manual_seed(seed)
    point = ModelParameters([p.detach() for p in case.model.parameters()])
    first = rand_u_like(point)
    second = orthogonal_to(first)
    directions = []
    for direction in (first, second):
        direction.filter_normalize_(point)
        directions.append(flat(direction.parameters) * (point.model_norm() / direction.model_norm()))
    plane = Plane(objective(case).theta, *directions, "random, of loss-landscapes")
    surface = Surface(f"{plane.kind}, extent {extent:g}", plane, extent, seed)
    return Drawing("loss-landscapes, random_plane", surface, run, walked(extent))


def landscaper(case: Trained, extent: float, seed: int) -> Drawing:
    """``compute_loss_landscape``: the directions that it is given it rescales, tensor by tensor."""
    from landscaper.compute import compute_loss_landscape, get_model_norm, normalize_direction
    from landscaper.utils import generate_random_orthogonal_directions

    torch.manual_seed(seed)
    given = generate_random_orthogonal_directions(case.model, n=2)

    def scalar_fn(model: nn.Module, data: tuple[Tensor, Tensor]) -> float:
        return case.loss_fn(model(data[0]), data[1]).item()

    def run() -> np.ndarray:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            values, _ = compute_loss_landscape(
                case.model, (case.X, case.y), given, scalar_fn, RESOLUTION, extent, dim=2, device="cpu"
            )
        return np.asarray(values)

    point = [p.detach() for p in case.model.parameters()]
    directions = []
    for direction in copy.deepcopy(given):
        used = normalize_direction(direction, point)
        directions.append(flat(used) * float(get_model_norm(point) / get_model_norm(used)))
    plane = Plane(objective(case).theta, *directions, "random, of Landscaper")
    reach = extent * (RESOLUTION // 2) / (RESOLUTION / 2)  # it counts 51 steps from 25.5, and takes 25
    surface = Surface(f"{plane.kind}, extent {extent:g}", plane, reach, seed)
    a = np.linspace(-extent, extent, RESOLUTION)  # what it returns
    return Drawing("Landscaper, compute_loss_landscape", surface, run, ((a, a),))


def drawings(case: Trained, surfaces: Iterator[Surface]) -> Iterator[Drawing]:
    for surface in surfaces:
        yield loss_landscapes_given(case, surface)
    yield loss_landscapes_random(case, extent=1.0, seed=0)
    yield landscaper(case, extent=1.0, seed=0)
