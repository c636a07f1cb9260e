"""The loss over a plane through theta: evaluated where it is needed, interpolated elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.interpolate import CubicSpline

from diagkit.measure.price import Bill, check_objective
from diagkit.measure.surface.barrier import Barrier, barrier
from diagkit.measure.surface.plane import Plane
from diagkit.measure.surface.planes import as_plane
from diagkit.measure.surface.points import Advance, LossesAt, evaluating
from diagkit.measure.surface.refinement import refinements
from diagkit.measure.surface.scale import Scale
from diagkit.objective import Objective, check_positive
from diagkit.result import Result
from diagkit.work import progress

if TYPE_CHECKING:
    import pandas as pd


class MarkedLoss(NamedTuple):
    """A known point of the plane, and the loss there, evaluated."""

    name: str
    a: float
    b: float
    loss: float


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class PlaneSlice(Result):
    """loss[i, j] = L(theta + a[i] d1 + b[j] d2).

    Attributes
    ----------
    a [n], b [n] : displacements in units of the directions' lengths, 0 included.
    loss [n, n] : NaN or Inf as found. evaluated [n, n] : computed cells; the others are interpolated.
    max_error : largest estimated error of an interpolated cell, as a fraction of the range of the loss (of
        its logarithm as well, where the picture is logarithmic); 0 where every cell was computed, NaN where
        nothing can be said. It is the largest error at computed cells, each held out in turn.
    directions [2, P]. marks : known points with their losses.
    """

    a: np.ndarray
    b: np.ndarray
    loss: np.ndarray
    evaluated: np.ndarray
    directions: np.ndarray
    kind: str
    max_error: float
    marks: tuple[MarkedLoss, ...] = ()

    @property
    def scale(self) -> Scale:
        """Linear or logarithmic: what the spread of the losses asks for."""
        return Scale.of(self.loss)

    @property
    def barrier(self) -> Barrier | None:
        """On a plane between two points: how far the straight way rises above its ends; None elsewhere.

        Read off the picture; ``loss_line(obj, to=...)`` evaluates it.
        """
        if self.kind != "between two points" or self.a[-1] < 1.0:
            return None
        row = self.loss[:, np.flatnonzero(self.b == 0.0)[0]]
        if not np.isfinite(row).all():
            return None
        t = np.linspace(0.0, 1.0, 51)
        uncertain = self.max_error * (self.scale.high - self.scale.low)
        return barrier(t, CubicSpline(self.a, row)(t), rounding=uncertain)

    def summary(self) -> dict[str, Any]:
        finite = self.loss[np.isfinite(self.loss)]
        facts: dict[str, Any] = {
            "kind": self.kind,
            "shape": list(self.loss.shape),
            "loss": [finite.min(), finite.max()] if finite.size else None,
            "not_finite": int(np.isinf(self.loss).sum() + (np.isnan(self.loss) & self.evaluated).sum()),
        }
        if (found := self.barrier) is not None:
            facts["barrier"] = found.height
        return facts | {"num_evals": self.num_evals, "max_error": self.max_error}

    def to_frame(self) -> pd.DataFrame:
        """One row per cell: a, b, loss, evaluated."""
        import pandas as pd

        a, b = np.meshgrid(self.a, self.b, indexing="ij")
        columns = {"a": a, "b": b, "loss": self.loss, "evaluated": self.evaluated}
        return pd.DataFrame({name: values.ravel() for name, values in columns.items()})


def loss_plane(
    obj: Objective,
    directions: Any = None,
    *,
    to: Any = None,
    extent: float = 1.0,
    resolution: int = 51,
    tol: float | None = 0.01,
    n_jobs: int = 1,
    seed: int = 0,
) -> PlaneSlice:
    """L(theta + a d1 + b d2) on a grid through theta, evaluated where needed, interpolated elsewhere.

    From a coarse grid on, cells are evaluated where the interpolation is in most doubt or the evaluated ones
    are farthest, until the largest error, each evaluated cell held out in turn, is at most ``tol`` of the
    range that the picture shows. Rough regions and the surroundings of cells that are not finite end up
    evaluated, cell by cell; a dent narrower than the spacing of the evaluated cells is not seen.

    Parameters
    ----------
    directions : None or "random" (filter-normalized, Li et al. 2018), "eigenvectors" (lowest and highest
        curvature), "gradient" (downhill, and where the gradient turns), two vectors [P], used unchanged, a
        :class:`Plane`, or a result that has one.
    to : another point, or two: the plane through them. Vectors [P], Objectives, modules or state_dicts.
    extent : how far the picture reaches, in units of the directions; for known points, times their box.
    tol : allowed error as a fraction of the range; None computes every cell.
    n_jobs : processes; -1: one per core (see ``docs/surfaces.md``).

    Raises
    ------
    InputError : unknown or parallel directions, points on a line, wrong shapes, extent <= 0, resolution < 3,
        tol <= 0.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> net = torch.nn.Linear(2, 1, bias=False).double()
    >>> obj = dk.Objective(net, torch.nn.MSELoss(), (torch.eye(2), torch.zeros(2, 1))).at([0.0, 0.0])
    >>> plane = dk.loss_plane(obj, torch.eye(2), extent=2.0, resolution=17)  # L = (a^2 + b^2) / 2
    >>> float(plane.loss[0, 8].round(9)), plane.num_evals < 289, plane.max_error < 1e-9
    (2.0, True, True)
    """
    options = {"to": to, "extent": extent, "resolution": resolution, "tol": tol, "n_jobs": n_jobs}
    with progress("surface: evaluations", resolution**2) as advance:
        *_, last = _stages(obj, directions, **options, seed=seed, advance=advance)
    return last


def refine_loss_plane(
    obj: Objective,
    directions: Any = None,
    *,
    to: Any = None,
    extent: float = 1.0,
    resolution: int = 51,
    tol: float | None = 0.01,
    n_jobs: int = 1,
    seed: int = 0,
) -> Iterator[PlaneSlice]:
    """The pictures on the way to :func:`loss_plane`, the last being its answer.

    All others are marked ``complete=False``. The first takes 25 passes. Arguments and errors are those of
    :func:`loss_plane`.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> net = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.Tanh()).double()
    >>> obj = dk.Objective(net, torch.nn.MSELoss(), (torch.eye(2), torch.ones(2, 1)))
    >>> pictures = list(dk.refine_loss_plane(obj, extent=3.0, tol=1e-3))
    >>> pictures[0].num_evals, pictures[0].complete, pictures[-1].complete, pictures[-1].max_error <= 1e-3
    (25, False, True, True)
    """
    options = {"to": to, "extent": extent, "resolution": resolution, "tol": tol, "n_jobs": n_jobs}
    return _stages(obj, directions, **options, seed=seed, advance=lambda done: None)


def _stages(
    obj: Objective,
    directions: Any,
    *,
    to: Any,
    extent: float,
    resolution: int,
    tol: float | None,
    n_jobs: int,
    seed: int,
    advance: Advance,
) -> Iterator[PlaneSlice]:
    check_objective(obj)
    check_positive("tol", tol, write="0.01", optional=True)
    bill = Bill(obj)
    plane = as_plane(obj, directions, to=to, seed=seed)
    a, b = plane.axes(extent, resolution)
    vectors = np.stack([d.double().cpu().numpy() for d in (plane.d1, plane.d2)])
    price = bill.paid()
    with evaluating(obj, plane.origin, (plane.d1, plane.d2), n_jobs=n_jobs) as losses_at:
        started = perf_counter()
        marks = _marked(plane, losses_at)
        price["num_evals"] += len(marks)

        def evaluate(cells: np.ndarray) -> np.ndarray:
            return losses_at(np.stack([a[cells[:, 0]], b[cells[:, 1]]], axis=1), advance)

        centre = int(np.flatnonzero(a == 0.0)[0]), int(np.flatnonzero(b == 0.0)[0])
        for grid in refinements(evaluate, (len(a), len(b)), centre, tol):
            price["seconds"] += perf_counter() - started
            spent = price | {"num_evals": price["num_evals"] + int(grid.evaluated.sum())}
            yield PlaneSlice(
                a=a,
                b=b,
                loss=grid.loss,
                evaluated=grid.evaluated,
                directions=vectors,
                kind=plane.kind,
                max_error=grid.max_error,
                marks=marks,
                complete=grid.complete,
                seed=plane.seed,
                **spent,
            )
            started = perf_counter()  # whoever draws the picture takes time of its own


def _marked(plane: Plane, losses_at: LossesAt) -> tuple[MarkedLoss, ...]:
    """Losses at the known points other than the origin, which is a cell of the grid."""
    others = [mark for mark in plane.marks if (mark.a, mark.b) != (0.0, 0.0)]
    losses = losses_at(np.array([[mark.a, mark.b] for mark in others]).reshape(-1, 2))
    return tuple(MarkedLoss(*mark, float(loss)) for mark, loss in zip(others, losses, strict=False))
