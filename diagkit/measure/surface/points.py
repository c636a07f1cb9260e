"""The loss at many independent points of a line, a plane or any subspace: here, or spread over processes.

The price is one forward pass over the data per point. What :meth:`Objective.loss` does around its pass
(modes, random state, torch's settings) is done once for all points of a call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import joblib
import numpy as np
from torch import Tensor

from diagkit.errors import InputError
from diagkit.measure.surface.passes import Passes
from diagkit.measure.surface.workers import Workers
from diagkit.objective import Objective
from diagkit.work import interrupted


class Advance(Protocol):
    """Told how many points were done since it was last told."""

    def __call__(self, done: int, /) -> Any: ...


class LossesAt(Protocol):
    """coordinates [m, k] -> losses [m] in float64, fewer where the work was interrupted."""

    def __call__(self, coordinates: Any, advance: Advance = ...) -> np.ndarray: ...


@contextmanager
def evaluating(
    obj: Objective, origin: Tensor, directions: Sequence[Tensor], *, n_jobs: int = 1
) -> Iterator[LossesAt]:
    """Yield c [m, k] -> L(origin + sum_j c_j d_j) [m].

    The losses are float64, NaN or Inf as found, of the first points only where the time ran out. Each point
    counts as one of ``obj.meter.num_evals``, whoever evaluates it. An optional second argument, ``advance``,
    is called with the number of points just done.

    Parameters
    ----------
    origin : [P]. directions : k vectors [P].
    n_jobs : 1 evaluates in this process: on a CPU one point after the other, as ``obj.loss`` does it, bit for
        bit; on a GPU several at once where the model allows it, equal to rounding. Another number is
        joblib's: so many local processes (-1: one per core), or the cluster chosen around the call by
        ``joblib.parallel_config(backend="dask")`` or ``"ray"``. Every process uses one thread, so that they
        do not fight: with ``torch.set_num_threads(1)`` here the numbers are the same bits, else they agree to
        rounding. A process takes seconds to start, which pays where passes take long.

    With several processes the model and the data are pickled once, and unpickled once by each worker, in
    however many calls; a worker forgets them half a minute after their last use. An error there is raised
    here, as itself. Ctrl-C and a time budget, looked at with every answer, end local processes; a cluster
    finishes the tasks it has begun. A model on a GPU is copied to the same GPU by every process, each with a
    CUDA context of its own: that seldom pays on one GPU, and may where each worker of a cluster has its own.

    Raises
    ------
    InputError : shapes that do not fit, NaN; n_jobs that is no integer, or 0; with n_jobs other than 1, an
        objective shared among ranks, or a model or loss that cannot be pickled.

    Example
    -------
    >>> import torch
    >>> net = torch.nn.Linear(1, 1, bias=False).double()
    >>> obj = Objective(net, torch.nn.MSELoss(), (torch.ones(2, 1), torch.zeros(2, 1)))  # L = w^2
    >>> with evaluating(obj, torch.tensor([0.0]), [torch.tensor([1.0])]) as losses_at:
    ...     losses_at([[1.0], [3.0]]).tolist()
    [1.0, 9.0]
    """
    passes = Passes(
        obj, obj.layout.check(origin, "origin"), [obj.layout.check(d, "direction") for d in directions]
    )
    if _is_here(obj, n_jobs):
        yield _counted(obj, passes, _Here(obj, passes))
        return
    workers = Workers(passes, n_jobs)
    try:
        yield _counted(obj, passes, workers)
    finally:
        workers.forget()


def _is_here(obj: Objective, n_jobs: int) -> bool:
    """Is this process the one that evaluates? Also where joblib finds no other (one core, a nested call)."""
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, (int, np.integer)) or n_jobs == 0:
        raise InputError(
            f"n_jobs = {n_jobs!r}", allowed="a number of processes, or -1: one per core", write="n_jobs=-1"
        )
    if n_jobs == 1:
        return True
    obj.ranks.refuse(f"n_jobs = {n_jobs}")
    return bool(joblib.effective_n_jobs(n_jobs) == 1)


class _Evaluator(Protocol):
    """Losses at the first points [m, k] of them all, until the work is interrupted."""

    def losses(self, coordinates: np.ndarray, advance: Advance) -> list[float]: ...


class _Here:
    """This process, or this one of several ranks in lockstep."""

    def __init__(self, obj: Objective, passes: Passes) -> None:
        self.obj, self.passes = obj, passes

    def losses(self, coordinates: np.ndarray, advance: Advance) -> list[float]:
        found: list[float] = []
        with self.obj.quiet():
            while len(found) < len(coordinates) and not interrupted():
                rows = coordinates[len(found) : len(found) + self.passes.at_once].tolist()
                points = [self.passes.point(row) for row in rows]
                found += self._total(points).tolist()
                advance(len(points))
        return found

    def _total(self, points: list[Tensor]) -> Tensor:
        share = partial(self.passes.losses, points)
        return self.obj.ranks.total(share, len(points), self.obj.layout.device, points[0])


def _counted(obj: Objective, passes: Passes, evaluator: _Evaluator) -> LossesAt:
    """Coordinates checked, passes counted."""
    shape = f"[m, {len(passes.directions)}]"

    def losses_at(coordinates: Any, advance: Advance = lambda done: None) -> np.ndarray:
        points = np.asarray(coordinates, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != len(passes.directions) or not np.isfinite(points).all():
            raise InputError(
                f"coordinates of shape {list(points.shape)}", allowed=f"finite numbers of shape {shape}"
            )

        def count(done: int) -> None:
            obj.meter.num_evals += done
            advance(done)

        return np.array(evaluator.losses(points, count), dtype=np.float64)

    return losses_at
