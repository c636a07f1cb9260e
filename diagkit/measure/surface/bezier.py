"""A quadratic Bezier curve between two points, and the control point of lowest mean loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.integrate import quad
from scipy.optimize import minimize

from diagkit.objective import Objective
from diagkit.spectral.random_vectors import on_sphere
from diagkit.work import interrupted, progress

# With three nodes the loss of a deeper network rose between them to ten times what it was at them.
NODES = 5
MEMORY = 10  # pairs of vectors that L-BFGS keeps
STEP_FTOL = 1e-5  # end where a step lowers the mean by less than this share of the straight line's
OFF_LINE = 0.01  # of the distance of the ends: how far from their middle the control point starts
TOO_HIGH = 1e6  # means of the straight line: stands for a loss that is not finite


@dataclass(frozen=True)
class Bezier:
    """phi(t) = (1 - t)^2 start + 2 t (1 - t) control + t^2 end, each [P] in float64, 0 <= t <= 1.

    Example
    -------
    >>> curve = Bezier(np.array([-1.0, 0.0]), np.array([0.0, 2.0]), np.array([1.0, 0.0]))
    >>> curve.point(0.5), round(curve.length, 4)  # the parabola y = 1 - x^2 between its zeros
    (array([0., 1.]), 2.9579)
    """

    start: np.ndarray
    control: np.ndarray
    end: np.ndarray

    def point(self, t: float) -> np.ndarray:
        """phi(t), [P]."""
        return (1 - t) ** 2 * self.start + 2 * t * (1 - t) * self.control + t**2 * self.end

    @property
    def length(self) -> float:
        """The integral of ||phi'(t)||, where phi' = 2 (1 - t) (control - start) + 2 t (end - control)."""
        to, off = self.control - self.start, self.end - self.control
        a, b, c = float(to @ to), float(to @ off), float(off @ off)

        def speed(t: float) -> float:
            return 2 * float(np.sqrt(max(0.0, (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c)))

        return float(quad(speed, 0.0, 1.0, limit=200)[0])


@dataclass(frozen=True)
class Trained:
    """The best curve seen. mean_losses [n] : of each curve tried, the straight line (nearly) first."""

    curve: Bezier
    mean_losses: np.ndarray
    complete: bool


class _EndedEarly(Exception):  # noqa: N818 - a signal out of the optimizer, caught below
    """The time is up."""


def train_curve(obj: Objective, start: np.ndarray, end: np.ndarray, steps: int, seed: int) -> Trained:
    r"""Lower the mean over t ~ U(0, 1) of L(phi(t)) by moving the control point.

    The mean is a Gauss-Legendre sum over five t, so that it and its gradient 2 t (1 - t) grad L(phi(t)) are
    no random numbers, and L-BFGS can be used. On digits networks a hundred gradients so spent reached means
    that Adam, on a random t per step, reached with three hundred to a thousand at the best of its rates.

    Training ends as soon as no node lies above the straight line between the losses of the ends: going on
    would lower the loss of a classifier further and further out, along a curve many times as long as it need
    be.

    The control point starts off the middle by a hundredth of the distance, in a random direction: where both
    ends are mirror images the middle itself is a saddle of the mean and would not be left.
    """
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    nodes, weights = (nodes + 1) / 2, weights / 2
    aside = next(on_sphere(len(start), torch.device("cpu"), seed)).double().numpy()
    control = (start + end) / 2 + OFF_LINE * float(np.linalg.norm(end - start)) * aside
    best, lowest, means = control, float("inf"), []
    ends = obj.loss(start), obj.loss(end)
    low_enough = False

    def mean_loss(control: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal best, lowest, low_enough
        curve, slope, losses = Bezier(start, control, end), np.zeros_like(control), []
        for t, weight in zip(nodes.tolist(), weights.tolist(), strict=True):
            if interrupted():
                raise _EndedEarly
            point = curve.point(t)
            losses.append(obj.loss(point))
            gradient = obj.batch_gradients(point, mean=True)[0]
            slope += weight * 2 * t * (1 - t) * gradient.double().cpu().numpy()
        mean = float(weights @ losses)
        means.append(mean)
        if mean < lowest:
            best, lowest = control.copy(), mean
            low_enough = bool((np.array(losses) <= (1 - nodes) * ends[0] + nodes * ends[1]).all())
        unit = means[0] if np.isfinite(means[0]) and means[0] > 0 else 1.0
        if not (np.isfinite(mean) and np.isfinite(slope).all()):
            return TOO_HIGH, np.zeros_like(control)
        return mean / unit, slope / unit

    def after(_: np.ndarray) -> None:
        advance(1)
        if low_enough:
            raise StopIteration  # the optimizer's word for an end that is wanted

    complete = True
    options = {"maxiter": steps, "maxfun": 2 * steps, "maxcor": MEMORY, "ftol": STEP_FTOL, "gtol": 0.0}
    with progress("curve: L-BFGS steps", steps) as advance:
        try:
            minimize(mean_loss, control, jac=True, method="L-BFGS-B", callback=after, options=options)
        except _EndedEarly:
            complete = False
    return Trained(Bezier(start, best, end), np.array(means), complete)
