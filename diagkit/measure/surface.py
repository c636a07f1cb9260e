"""The loss along a line and over a plane through theta: a pure function on explicit coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from diagkit.errors import InputError
from diagkit.measure.directions import checked_direction, filter_normalized, plane_directions
from diagkit.measure.grid_refinement import refine
from diagkit.measure.price import Bill, check_objective
from diagkit.objective import Objective, check_count, check_positive
from diagkit.result import Result
from diagkit.work import interrupted, progress

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class LineSlice(Result):
    """loss[i] = L(theta + t[i] d).

    Attributes
    ----------
    t [n] : displacement in units of the direction's length. loss [n] : NaN or Inf as found.
    direction [P]. kind : "random, filter-normalized", "given", or "between two points".
    """

    t: np.ndarray
    loss: np.ndarray
    direction: np.ndarray
    kind: str

    def summary(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "t": [self.t[0], self.t[-1]],
            "loss": [np.nanmin(self.loss), np.nanmax(self.loss)],
            "not_finite": int((~np.isfinite(self.loss)).sum()),
            "num_evals": self.num_evals,
        }

    def to_frame(self) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame({"t": self.t, "loss": self.loss})


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class PlaneSlice(Result):
    """loss[i, j] = L(theta + a[i] d1 + b[j] d2).

    Attributes
    ----------
    a [n], b [n] : displacements in units of the directions' lengths, 0 included.
    loss [n, n] : NaN or Inf as found. evaluated [n, n] : computed cells; the others are interpolated.
    max_error : largest error of interpolated cells seen on cells held out, as a fraction of the range of
        the loss; 0 where every cell was computed.
    directions [2, P].
    """

    a: np.ndarray
    b: np.ndarray
    loss: np.ndarray
    evaluated: np.ndarray
    directions: np.ndarray
    kind: str
    max_error: float

    def summary(self) -> dict[str, Any]:
        finite = self.loss[np.isfinite(self.loss)]
        return {
            "kind": self.kind,
            "shape": list(self.loss.shape),
            "loss": [finite.min(), finite.max()] if finite.size else None,
            "not_finite": int(self.loss.size - finite.size),
            "num_evals": self.num_evals,
            "max_error": self.max_error,
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per cell: a, b, loss, evaluated."""
        import pandas as pd

        a, b = np.meshgrid(self.a, self.b, indexing="ij")
        columns = {"a": a, "b": b, "loss": self.loss, "evaluated": self.evaluated}
        return pd.DataFrame({name: values.ravel() for name, values in columns.items()})


def centred(extent: float, resolution: int) -> np.ndarray:
    """``resolution`` equidistant coordinates from -extent with 0 among them.

    An odd number ends at +extent; an even one, which has no middle, ends one spacing short of it.

    Example
    -------
    >>> centred(1.0, 5), centred(1.0, 4)
    (array([-1. , -0.5,  0. ,  0.5,  1. ]), array([-1. , -0.5,  0. ,  0.5]))
    """
    odd = resolution + 1 - resolution % 2
    coordinates = np.linspace(-extent, extent, odd)
    coordinates[odd // 2] = 0.0
    return coordinates[:resolution]


def _check_grid(extent: float, resolution: int) -> None:
    check_positive("extent", extent, write="1.0")
    check_count("resolution", resolution, least=3, write="51")


def loss_line(
    obj: Objective,
    direction: Any = None,
    *,
    to: Any = None,
    extent: float = 1.0,
    resolution: int = 51,
    seed: int = 0,
) -> LineSlice:
    """L(theta + t d) for t from -extent to extent, or from theta to another point.

    Parameters
    ----------
    direction : [P], used unchanged; None draws a random filter-normalized one.
    to : another point [P]: d = to - theta and t runs from 0 to ``extent``, so that t = 1 is ``to``.

    Raises
    ------
    InputError : both ``direction`` and ``to``, a wrong shape, NaN, extent <= 0, resolution < 3.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> net = torch.nn.Linear(1, 1, bias=False).double()
    >>> obj = dk.Objective(net, torch.nn.MSELoss(), (torch.ones(2, 1), torch.zeros(2, 1)))
    >>> line = dk.loss_line(obj.at([0.0]), [1.0], extent=2.0, resolution=5)  # L = w^2
    >>> line.t.tolist(), line.loss.tolist()
    ([-2.0, -1.0, 0.0, 1.0, 2.0], [4.0, 1.0, 0.0, 1.0, 4.0])
    """
    check_objective(obj)
    _check_grid(extent, resolution)
    if direction is not None and to is not None:
        raise InputError("both direction and to", allowed="one of them", write="loss_line(obj, to=theta2)")
    bill = Bill(obj)
    if to is not None:
        d, kind = obj.layout.check(to, "to") - obj.theta, "between two points"
        t = np.linspace(0.0, extent, resolution)
    else:
        kind = "random, filter-normalized" if direction is None else "given"
        d = filter_normalized(obj, seed) if direction is None else checked_direction(obj, direction)
        t = centred(extent, resolution)
    theta, loss = obj.theta, np.full(resolution, np.nan)
    complete = True
    with progress("line: evaluations", resolution) as advance:
        for i, x in enumerate(t):
            loss[i] = obj.loss(theta + float(x) * d)
            advance(1)
            if interrupted():
                complete = i == resolution - 1
                break
    return LineSlice(
        t=t,
        loss=loss,
        direction=d.double().cpu().numpy(),
        kind=kind,
        complete=complete,
        seed=seed if direction is None and to is None else None,
        **bill.paid(),
    )


def loss_plane(
    obj: Objective,
    directions: Any = None,
    *,
    extent: float = 1.0,
    resolution: int = 51,
    tol: float | None = 0.01,
    seed: int = 0,
) -> PlaneSlice:
    """L(theta + a d1 + b d2) on a grid through theta, evaluated where needed, interpolated elsewhere.

    Nested subgrids of the final cells are evaluated and the finer ones predicted by a bicubic spline
    through the coarser; refinement stops where the largest error so seen is at most ``tol`` times the range
    of the loss, or every cell is computed. Where any cell is not finite, every cell is computed.

    Parameters
    ----------
    directions : None or "random" (filter-normalized, Li et al. 2018), "eigenvectors" (lowest and highest
        curvature), or two vectors [P], used unchanged.
    tol : allowed error as a fraction of the loss range; None computes every cell.

    Raises
    ------
    InputError : unknown or parallel directions, wrong shapes, extent <= 0, resolution < 3, tol <= 0.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> net = torch.nn.Linear(2, 1, bias=False).double()
    >>> obj = dk.Objective(net, torch.nn.MSELoss(), (torch.eye(2), torch.zeros(2, 1))).at([0.0, 0.0])
    >>> plane = dk.loss_plane(obj, torch.eye(2), extent=2.0, resolution=17)  # L = (a^2 + b^2) / 2
    >>> float(plane.loss[0, 8].round(9)), plane.num_evals < 289, plane.max_error < 1e-9
    (2.0, True, True)
    """
    check_objective(obj)
    _check_grid(extent, resolution)
    check_positive("tol", tol, write="0.01", optional=True)
    bill = Bill(obj)
    d1, d2, kind = plane_directions(obj, directions, seed)
    theta, axis = obj.theta, centred(extent, resolution)

    def loss_at(a: float, b: float) -> float:
        return obj.loss(theta + a * d1 + b * d2)

    grid = refine(loss_at, axis, tol)
    return PlaneSlice(
        a=axis,
        b=axis.copy(),
        loss=grid.loss,
        evaluated=grid.evaluated,
        directions=np.stack([d.double().cpu().numpy() for d in (d1, d2)]),
        kind=kind,
        max_error=grid.max_error,
        complete=grid.complete,
        seed=None if kind == "given" else seed,
        **bill.paid(),
    )
