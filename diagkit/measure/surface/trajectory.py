"""The plane of a training trajectory, what it explains, and what of the loss it does not show."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from diagkit.errors import InputError
from diagkit.measure.price import Bill, check_objective
from diagkit.measure.surface.plane import Bounds, Mark, Plane
from diagkit.measure.surface.principal import principal_axes, random_walk_shares
from diagkit.objective import Objective
from diagkit.result import Result
from diagkit.work import interrupted, progress

if TYPE_CHECKING:
    import pandas as pd

MARGIN = 0.2  # around the path, as a share of its side
THINNEST = 0.1  # no side of the picture is shorter than this share of the other
FEWEST = 3  # points that can span a plane


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class TrajectoryPlane(Result):
    """The two directions in which the points of a trajectory vary most, through its last point.

    Attributes
    ----------
    plane : for ``loss_plane(obj, trajectory)``; (0, 0) is the last point, a and b are lengths of theta.
    path [n, 2] : the points in the plane, (a, b). distance [n] : how far each lies from the plane.
    explained [2] : share of the variance about the mean along each direction.
    explained_by_random_walk [2] : the same for a random walk of n points in many dimensions. Its two sum up
        to 76 % when n is large: a trajectory that explains no more than that has no structure to show.
    loss_on_path [n] : L at the points themselves. loss_on_plane [n] : L at their projections, which is what
        contours show. NaN where the time was up.
    """

    plane: Plane
    path: np.ndarray
    distance: np.ndarray
    explained: np.ndarray
    explained_by_random_walk: np.ndarray
    loss_on_path: np.ndarray
    loss_on_plane: np.ndarray

    @property
    def explained_together(self) -> float:
        """Share of the variance that the plane holds."""
        return float(self.explained.sum())

    @property
    def largest_difference(self) -> float:
        """max |loss_on_path - loss_on_plane|: by how much the contours are not the loss of the trajectory."""
        difference = np.abs(self.loss_on_path - self.loss_on_plane)
        return float(np.nanmax(difference)) if np.isfinite(difference).any() else float("nan")

    def summary(self) -> dict[str, Any]:
        finite = self.loss_on_path[np.isfinite(self.loss_on_path)]
        return {
            "points": len(self.path),
            "explained": self.explained,
            "together": self.explained_together,
            "random_walk": float(self.explained_by_random_walk.sum()),
            "loss_on_path": [finite.min(), finite.max()] if finite.size else None,
            "largest_difference_on_plane": self.largest_difference,
            "num_evals": self.num_evals,
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per point: a, b, distance, loss, loss_on_plane."""
        import pandas as pd

        columns = {"a": self.path[:, 0], "b": self.path[:, 1], "distance": self.distance}
        return pd.DataFrame(columns | {"loss": self.loss_on_path, "loss_on_plane": self.loss_on_plane})


def trajectory_plane(obj: Objective, thetas: Any, *, losses: Any = None) -> TrajectoryPlane:
    r"""The plane through the last of ``thetas`` along the first two principal components of all of them.

    Directions and shares come from the variance about the mean, sum_i (theta_i - mean)(theta_i - mean)^T / n:
    a share of variance means that, and the random walk's share is known for it. About the last point, the
    mean offset would count as structure. The plane itself goes through the last point (Li et al. 2018,
    arXiv:1712.09913), so that its centre is the trained model with its true loss; other points lie beside it
    by ``distance``. Both directions are unit vectors: a and b are lengths.

    Random walks look alike: PC1 takes 6 / pi^2 = 61 %, PC2 15 % of long ones in high dimension (Antognini and
    Sohl-Dickstein 2018, arXiv:1806.08805); see :func:`random_walk_shares` for n points.

    Parameters
    ----------
    thetas : [n, P], in the order of training, or a ``TrajectoryRecorder``.
    losses : [n], L at each of them where it is known; None evaluates it. Losses of minibatches are no L.

    Raises
    ------
    InputError : fewer than 3 points, another P, NaN, points on one line, ``losses`` of another length.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> net = torch.nn.Linear(4, 1, bias=False).double()
    >>> obj = dk.Objective(net, torch.nn.MSELoss(), (2 * torch.eye(4), torch.zeros(4, 1)))  # L = ||w||^2
    >>> found = dk.trajectory_plane(obj, [[2.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 0, 0]])
    >>> found.explained.sum().round(9), found.loss_on_path.round(9), found.distance.round(9)
    (np.float64(1.0), array([4., 1., 0.]), array([0., 0., 0.]))
    """
    check_objective(obj)
    points = checked_points(obj, thetas)
    axes, shares = principal_axes(points)
    if axes is None:
        raise InputError(
            f"{len(points)} points on one line",
            allowed="points that span a plane",
            write="loss_line(obj, to=thetas[-1])",
        )
    known = None if losses is None else checked_losses(losses, len(points))
    bill, origin = Bill(obj), obj.layout.check(points[-1])
    d1, d2 = axes.to(origin.dtype).to(origin.device)
    plane = Plane(origin, d1, d2, "trajectory")
    path = plane.coordinates(points)
    marks = (Mark("end", 0.0, 0.0), Mark("start", float(path[0, 0]), float(path[0, 1])))
    plane = replace(plane, bounds=box_around(path), marks=marks)
    on_path, on_plane, complete = losses_beside(obj, points, plane, path, known)
    return TrajectoryPlane(
        plane=plane,
        path=path,
        distance=plane.distance(points),
        explained=shares[:2],
        explained_by_random_walk=random_walk_shares(len(points))[:2],
        loss_on_path=on_path,
        loss_on_plane=on_plane,
        complete=complete,
        **bill.paid(),
    )


def losses_beside(
    obj: Objective, points: Tensor, plane: Plane, path: np.ndarray, known: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, bool]:
    """L at the points [n] (unless known) and at their projections [n], and whether all were evaluated."""
    n = len(points)
    on_path, on_plane = np.full(n, np.nan) if known is None else known, np.full(n, np.nan)
    with progress("trajectory: evaluations", n * (2 if known is None else 1)) as advance:
        for i in reversed(range(n)):  # from the end, where one would look first
            if interrupted():
                return on_path, on_plane, False
            if known is None:
                on_path[i] = obj.loss(points[i])
                advance(1)
            on_plane[i] = obj.loss(plane.point(*path[i]))
            advance(1)
    return on_path, on_plane, True


def checked_points(obj: Objective, thetas: Any) -> Tensor:
    """The points [n, P] on the CPU, in the dtype of the parameters."""
    thetas = getattr(thetas, "thetas", thetas)
    try:
        count = len(thetas)
    except TypeError as error:
        allowed = f"[n, P]: {FEWEST} points or more, P = {obj.num_params}, or a TrajectoryRecorder"
        raise InputError(f"thetas of type {type(thetas).__name__}", allowed=allowed) from error
    if count < FEWEST:
        raise InputError(f"{count} points", allowed=f"{FEWEST} or more, to span a plane")
    rows = [obj.layout.check(theta, f"thetas[{i}]") for i, theta in enumerate(thetas)]
    return torch.stack([row.cpu() for row in rows])


def checked_losses(losses: Any, n: int) -> np.ndarray:
    """One number for each point; NaN and Inf stay, they may be what was found there."""
    values = np.array([float(x) for x in losses])
    if len(values) != n:
        raise InputError(f"{len(values)} losses for {n} points", allowed="one for each point, or losses=None")
    return values


def box_around(path: np.ndarray) -> Bounds:
    """Sides that hold the path and a margin; lengths along a and b differ, as those of the path do."""
    low, high = path.min(axis=0), path.max(axis=0)
    sides = np.maximum(high - low, THINNEST * (high - low).max())
    low, high = (low + high) / 2 - (0.5 + MARGIN) * sides, (low + high) / 2 + (0.5 + MARGIN) * sides
    return (float(low[0]), float(high[0])), (float(low[1]), float(high[1]))
