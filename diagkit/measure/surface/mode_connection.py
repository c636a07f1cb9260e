"""Are two minima joined by a path of low loss? A curve trained to be one, beside the straight line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from diagkit.measure.price import Bill, check_objective
from diagkit.measure.surface.barrier import UNKNOWN, barrier, missed
from diagkit.measure.surface.bezier import Bezier, Trained, train_curve
from diagkit.measure.surface.checkpoint import theta_of
from diagkit.measure.surface.connection_words import explain, judge, statistics_used
from diagkit.measure.surface.directions import orthogonal_to
from diagkit.measure.surface.line import loss_line
from diagkit.measure.surface.plane import HERE, Mark, Plane
from diagkit.measure.surface.planes import square_around
from diagkit.measure.surface.points import evaluating
from diagkit.objective import Objective, check_count, check_positive, check_seed
from diagkit.result import Result
from diagkit.work import progress

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class ModeConnection(Result):
    r"""loss[i] = L(phi(t[i])) on a trained curve phi, line_loss[i] = L((1 - t[i]) theta1 + t[i] theta2).

    Attributes
    ----------
    verdict : "connected", "no low path found" (an optimizer that failed proves nothing), or "undecided".
    t [n], loss [n], line_loss [n] : NaN or Inf as found, NaN where the work was ended before.
    start [P], control [P], end [P] : phi(t) = (1 - t)^2 start + 2 t (1 - t) control + t^2 end.
    barrier, barrier_at, barrier_interval : of the curve: the largest L(phi(t)) - ((1 - t) L(0) + t L(1)) at
        the sampled t, where, and between what it lies: the upper end estimates what the sampling missed.
    line_barrier, line_barrier_interval : the same of the straight line.
    max_loss, max_loss_at, max_loss_error : the largest loss sampled on the curve, where, and by how much it
        may be higher between the samples (an estimate from second differences).
    limit : the barrier up to which the ends count as connected: ``tol`` times the range of line_loss.
    length, line_length : of the curve, and of the straight line, ||theta2 - theta1||.
    mean_losses : mean over t of the loss, of each curve that was tried.
    num_gradients : gradients spent (passes forward and back), beside ``num_evals``.
    """

    verdict: str
    t: np.ndarray
    loss: np.ndarray
    line_loss: np.ndarray
    start: np.ndarray
    control: np.ndarray
    end: np.ndarray
    barrier: float
    barrier_at: float
    barrier_interval: tuple[float, float]
    line_barrier: float
    line_barrier_interval: tuple[float, float]
    max_loss: float
    max_loss_at: float
    max_loss_error: float
    limit: float
    length: float
    line_length: float
    mean_losses: np.ndarray
    num_gradients: int
    explanation: str

    def point(self, t: float) -> np.ndarray:
        """phi(t), [P]."""
        return Bezier(self.start, self.control, self.end).point(t)

    @property
    def plane(self) -> Plane:
        """Through both ends, (0, 0) and (1, 0), and the control point: the whole curve lies in it.

        ``dk.loss_plane(obj, connection).plot(path=connection.path, path_label="curve")`` draws it.

        Raises
        ------
        InputError : the three points lie on one line.
        """
        start, control, end = (torch.as_tensor(x) for x in (self.start, self.control, self.end))
        d1, w = end - start, control - start
        across = orthogonal_to(d1, w)
        d2 = across * (d1.norm() / across.norm().clamp_min(torch.finfo(across.dtype).tiny))
        a, b = float(w @ d1 / d1.square().sum()), float(across.norm() / d1.norm())
        marks = (HERE, Mark("other", 1.0, 0.0), Mark("control", a, b))
        return Plane(start, d1, d2, "through a curve", square_around(marks), marks)

    @property
    def path(self) -> np.ndarray:
        """Coordinates (a, b) [n, 2] of the curve in ``plane``, exact but for rounding."""
        (_, end, control), t = self.plane.marks, self.t[:, None]
        return 2 * t * (1 - t) * np.array(control[1:]) + t**2 * np.array(end[1:])

    def summary(self) -> dict[str, Any]:
        return {
            "verdict": self.verdict,
            "barrier": self.barrier,
            "line_barrier": self.line_barrier,
            "max_loss": self.max_loss,
            "max_loss_error": self.max_loss_error,
            "times_the_length": self.length / self.line_length if self.line_length else None,
            "num_evals": self.num_evals,
            "num_gradients": self.num_gradients,
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per t: t, loss on the curve, line_loss."""
        import pandas as pd

        return pd.DataFrame({"t": self.t, "loss": self.loss, "line_loss": self.line_loss})


def connect_modes(
    obj: Objective,
    to: Any,
    *,
    steps: int = 50,
    num_points: int = 41,
    tol: float = 0.05,
    n_jobs: int = 1,
    seed: int = 0,
) -> ModeConnection:
    r"""Bend the way from here to another point until the loss along it is low.

    The way is phi(t) = (1 - t)^2 theta1 + 2 t (1 - t) c + t^2 theta2, and the control point c is trained to
    lower the mean over t ~ U(0, 1) of L(phi(t)) (Garipov et al. 2018, arXiv:1802.10026), on the objective's
    data, by L-BFGS on a Gauss-Legendre sum, so that no step size has to be chosen. Then the loss is evaluated
    along the curve and along the straight line at the same t. It costs about 5 gradients and 5 passes a step,
    and 2 ``num_points`` passes.

    BatchNorm with running statistics: every point of the path, its far end too, is measured with the
    statistics kept at theta1, which do not fit it; Garipov et al. recompute them.
    ``Objective(..., norm_stats="batch")`` does so at each point; the explanation says which was measured.

    Parameters
    ----------
    to : the other point: a vector [P], an Objective, a module or a state_dict.
    steps : at most so many steps of L-BFGS.
    num_points : samples of each path, its ends included.
    tol : connected is what has a barrier of at most ``tol`` times the range of the loss on the straight line.
    n_jobs : processes for the samples of the curve, as in ``loss_plane``.

    Raises
    ------
    InputError : a point of another shape, NaN, steps < 1, num_points < 5, tol <= 0.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> class Valley(torch.nn.Module):  # L = (y - (1 - x^2))^2: a curved valley of loss 0
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.w = torch.nn.Parameter(torch.tensor([-1.0, 0.0], dtype=torch.float64))
    ...     def forward(self, inputs):
    ...         return (self.w[1] - 1 + self.w[0] ** 2).expand(len(inputs))
    >>> obj = dk.Objective(Valley(), torch.nn.MSELoss(), (torch.zeros(2), torch.zeros(2)))
    >>> found = dk.connect_modes(obj, [1.0, 0.0])  # straight across the ridge, or along the valley
    >>> found.verdict, found.line_barrier, found.max_loss < 1e-3, found.control.round(1) + 0
    ('connected', 1.0, True, array([0., 2.]))
    """
    check_objective(obj)
    check_count("steps", steps, write="50")
    check_count("num_points", num_points, least=5, write="41")
    check_positive("tol", tol, write="0.05")
    check_seed(seed)
    bill, gradients = Bill(obj), obj.meter.num_gradients
    other = theta_of(obj, to)
    line = loss_line(obj, to=other, resolution=num_points)
    start, end = (x.double().cpu().numpy() for x in (obj.theta, other))
    if np.array_equal(start, end):
        trained = Trained(Bezier(start, start, end), np.empty(0), True)
    else:
        trained = train_curve(obj, start, end, steps, seed)
    sampled = _losses_on(obj, trained.curve, line.t, n_jobs)
    loss = np.pad(sampled, (0, num_points - len(sampled)), constant_values=np.nan)
    found = barrier(line.t, loss, line.rounding) if len(sampled) else UNKNOWN
    limit = max(tol * _range(line.loss), line.rounding)
    verdict = judge(found, limit)
    top = int(np.nanargmax(loss)) if np.isfinite(loss).any() else 0
    return ModeConnection(
        verdict=verdict,
        t=line.t,
        loss=loss,
        line_loss=line.loss,
        start=start,
        control=trained.curve.control,
        end=end,
        barrier=found.height,
        barrier_at=found.at,
        barrier_interval=found.interval,
        line_barrier=line.barrier,
        line_barrier_interval=line.barrier_interval,
        max_loss=float(loss[top]),
        max_loss_at=float(line.t[top]),
        max_loss_error=missed(loss) + line.rounding,
        limit=limit,
        length=trained.curve.length,
        line_length=float(np.linalg.norm(end - start)),
        mean_losses=trained.mean_losses,
        num_gradients=obj.meter.num_gradients - gradients,
        explanation=explain(verdict, found, limit, line.barrier, trained) + statistics_used(obj),
        complete=line.complete and trained.complete and len(sampled) == num_points,
        seed=seed,
        **bill.paid(),
    )


def _losses_on(obj: Objective, curve: Bezier, t: np.ndarray, n_jobs: int) -> np.ndarray:
    """L(phi(t)) at the first of t [n], at all of them unless the time ran out."""
    arms = [torch.as_tensor(end - curve.start).to(obj.theta) for end in (curve.control, curve.end)]
    coordinates = np.stack([2 * t * (1 - t), t**2], axis=1)
    with (
        evaluating(obj, obj.theta, arms, n_jobs=n_jobs) as losses_at,
        progress("curve: evaluations", len(t)) as advance,
    ):
        return losses_at(coordinates, advance)


def _range(loss: np.ndarray) -> float:
    return float(np.ptp(loss[np.isfinite(loss)])) if np.isfinite(loss).any() else 0.0
