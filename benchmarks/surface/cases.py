"""The models of the curvature benchmark on a part of their data, planes through them, the true picture."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.interpolate import RectBivariateSpline

import diagkit as dk
from benchmarks.curvature.models import MODELS, Trained
from diagkit.measure.surface.planes import eigenvector_plane, gradient_plane, random_plane
from diagkit.measure.surface.refinement import Grid, refinements
from diagkit.measure.surface.scale import BELOW, Scale

RESOLUTION, TOL = 51, 0.01
BRUTE_FORCE = RESOLUTION**2
GOAL = BRUTE_FORCE // 20  # passes, on smooth cases
EXAMPLES = {"mlp": 1797, "cnn": 400, "gpt": 16}  # the first so many, for everybody


def make(name: str, seed: int = 0) -> Trained:
    whole = MODELS[name](seed)
    return replace(whole, X=whole.X[: EXAMPLES[name]], y=whole.y[: EXAMPLES[name]])


def objective(case: Trained) -> dk.Objective:
    return dk.Objective(case.model, case.loss_fn, (case.X, case.y), batch_size=len(case.X))


def cpu_seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    answer = work()
    return time.process_time() - start, answer


def bare_pass(case: Trained, repeats: int = 51) -> float:
    """CPU seconds of loss_fn(model(X), y), the median."""

    def work() -> float:
        with torch.no_grad():
            return float(case.loss_fn(case.model(case.X), case.y))

    work()
    return float(np.median([cpu_seconds(work)[0] for _ in range(repeats)]))


@dataclass(frozen=True)
class Surface:
    """A plane through a trained model, up to an extent in units of its directions."""

    kind: str
    plane: dk.Plane
    extent: float
    seed: int

    def draw(self, obj: dk.Objective, tol: float | None = TOL) -> dk.PlaneSlice:
        return dk.loss_plane(obj, self.plane, extent=self.extent, resolution=RESOLUTION, tol=tol)


Planes = Callable[[dk.Objective], Iterator[Surface]]


def random_planes(obj: dk.Objective, extent: float, count: int) -> Iterator[Surface]:
    for seed in range(count):  # a plane takes a seed for each of its directions
        yield Surface(f"random, extent {extent:g}", random_plane(obj, 2 * seed), extent, seed)


def eigenvector_planes(obj: dk.Objective, extent: float) -> Iterator[Surface]:
    yield Surface(f"eigenvectors, extent {extent:g}", eigenvector_plane(obj), extent, 0)


def gradient_planes(obj: dk.Objective, extent: float) -> Iterator[Surface]:
    yield Surface(f"gradient, extent {extent:g}", gradient_plane(obj), extent, 0)


STANDARD: tuple[Planes, ...] = (
    partial(random_planes, extent=1.0, count=8),
    partial(random_planes, extent=3.0, count=4),
    partial(eigenvector_planes, extent=1.0),
)


@dataclass(frozen=True)
class Errors:
    """Largest errors of a picture: as shares of the range of the loss, and as its colours show it.

    ``shown`` is the larger of the linear share and, where the true picture is logarithmic, the share of the
    range of the logarithm. ``hidden`` : cells whose true loss is not finite and that are drawn finite.
    """

    linear: float
    shown: float
    scale: str
    hidden: int

    @classmethod
    def of(cls, drawn: np.ndarray, true: np.ndarray) -> Errors:
        finite, scale = np.isfinite(true), Scale.of(true)
        shown = scale.error(drawn[finite], true[finite])
        linear = replace(scale, floor=None).error(drawn[finite], true[finite])
        hidden = int(np.isfinite(drawn[~finite]).sum())
        return cls(float(linear.max(initial=0.0)), float(shown.max(initial=0.0)), scale.name, hidden)


def refined(true: np.ndarray) -> Grid:
    """What the refinement makes of a surface of which it is told one cell after the other."""

    def evaluate(cells: np.ndarray) -> np.ndarray:
        return true[cells[:, 0], cells[:, 1]]

    *_, last = refinements(evaluate, true.shape, (len(true) // 2, len(true) // 2), TOL)
    return last


def in_hindsight(true: np.ndarray, tol: float = TOL) -> float:
    """Passes of the coarsest grid whose bicubic spline is within ``tol``; NaN if none below brute force.

    Through the loss, or through its logarithm where the picture is logarithmic, whichever is better. Nobody
    can know that grid beforehand, or that it was enough.
    """
    scale = Scale.of(true)
    if not np.isfinite(true).all():
        return float("nan")
    everywhere = np.arange(len(true))
    low = BELOW * scale.floor if scale.floor else 0.0
    for n in range(4, len(true)):
        nodes = np.round(np.linspace(0, len(true) - 1, n)).astype(int)
        coarse = true[np.ix_(nodes, nodes)]
        pictures = [RectBivariateSpline(nodes, nodes, coarse)(everywhere, everywhere)]
        if scale.floor:
            logs = RectBivariateSpline(nodes, nodes, np.log(np.maximum(coarse, low)))(everywhere, everywhere)
            pictures.append(np.exp(np.clip(logs, -700, 700)))
        if min(Errors.of(picture, true).shown for picture in pictures) <= tol:
            return float(n * n)
    return float("nan")
