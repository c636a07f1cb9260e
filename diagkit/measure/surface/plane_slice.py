"""The loss over a plane through theta."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from diagkit.measure.price import Bill, check_objective
from diagkit.measure.surface.coordinates import centred, check_grid
from diagkit.measure.surface.directions import plane_directions
from diagkit.measure.surface.refinement import refine
from diagkit.objective import Objective, check_positive
from diagkit.result import Result

if TYPE_CHECKING:
    import pandas as pd


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
    check_grid(extent, resolution)
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
