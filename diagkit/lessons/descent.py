"""Lesson 1, how large a step may be: a swing told from a fall, the edge of stability, the exercise."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from diagkit.lessons.exercise import Checked, needs_number, right, wrong
from diagkit.training import CurvatureTrack, CurvatureTracker, DescentPath, train
from diagkit.work import progress

ENDINGS = ("it reaches the lowest point", "it swings for ever", "it diverges")
UNDER_WAY = "it is still on its way"
ARRIVED = 1e-6  # of the first loss
STILL = 0.99  # of the loss a quarter of the path ago: it does not fall any more
EDGE_RATE = 0.2
HESSIAN, BETA = np.array([[6.0, 2.0], [2.0, 3.0]]), 0.5  # of the exercise: eigenvalues 7 and 2
CLOSE = 0.01  # relative


def ending(path: DescentPath) -> str:
    """Which of ``ENDINGS`` a path comes to: a swing is a loss that no longer falls, above the lowest one.

    Example
    -------
    >>> import diagkit as dk
    >>> obj = dk.clinic.valley("quadratic").objective()
    >>> [ending(dk.descent_path(obj, rates()["SGD"](rate), steps=200)) for rate in (0.1, 0.3, 1e-3)]
    ['it reaches the lowest point', 'it diverges', 'it is still on its way']
    """
    if path.diverges:
        return ENDINGS[2]
    if path.loss[-1] <= ARRIVED * path.loss[0]:
        return ENDINGS[0]
    earlier = path.loss[-1 - len(path.loss) // 4]
    return ENDINGS[1] if path.loss[-1] > STILL * earlier else UNDER_WAY


def rates() -> dict[str, Callable[[float], Any]]:
    """Name -> rate -> a function of the parameters that makes the optimizer."""
    return {
        "SGD": lambda rate: lambda parameters: torch.optim.SGD(parameters, lr=rate),
        "momentum": lambda rate: lambda parameters: torch.optim.SGD(parameters, lr=rate, momentum=0.9),
        "Adam": lambda rate: lambda parameters: torch.optim.Adam(parameters, lr=rate),
    }


def half_square(output: Tensor, target: Tensor) -> Tensor:
    """Half the mean squared error."""
    return ((output - target) ** 2).mean() / 2


@dataclass(frozen=True, eq=False)
class EdgeRuns:
    """Networks trained with full batches at one rate.

    Attributes
    ----------
    tracks : the sharpness along each run. losses [seeds, steps].
    """

    tracks: tuple[CurvatureTrack, ...]
    losses: np.ndarray

    @property
    def early_ratios(self) -> np.ndarray:
        """Sharpness over the limit after the first step [seeds]."""
        return np.array([track.ratios[0] for track in self.tracks])

    @property
    def late_ratios(self) -> np.ndarray:
        """Its median over the last quarter of each run [seeds]."""
        return np.array([np.median(track.ratios[-(len(track.steps) // 4) :]) for track in self.tracks])

    @property
    def half_way(self) -> np.ndarray:
        """Mean loss of the second quarter of each run [seeds]."""
        quarter = self.losses.shape[1] // 4
        return self.losses[:, quarter : 2 * quarter].mean(1)

    @property
    def at_the_end(self) -> np.ndarray:
        """Mean loss of the last quarter [seeds]."""
        return self.losses[:, -(self.losses.shape[1] // 4) :].mean(1)


def edge_runs(seeds: Iterable[int] = range(8), *, steps: int = 1200, every: int = 30) -> EdgeRuns:
    """A tanh network with 40 units fits 20 points of 8 x^4 - 8 x^2 + 1 by gradient descent at rate 0.2.

    A task of Cohen et al. 2021 (arXiv:2103.00065), where the sharpness climbs to 2 / rate and stays.
    """
    x = torch.linspace(-1, 1, 20)[:, None]
    data = x, 8 * x**4 - 8 * x**2 + 1
    tracks, losses, seeds = [], [], list(seeds)
    with progress("networks", len(seeds)) as advance:
        for seed in seeds:
            track, loss = _edge_run(data, seed, steps, every)
            tracks.append(track)
            losses.append(loss)
            advance(1)
    return EdgeRuns(tuple(tracks), np.array(losses))


def _edge_run(data: Any, seed: int, steps: int, every: int) -> tuple[CurvatureTrack, np.ndarray]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(1, 40), nn.Tanh(), nn.Linear(40, 1))
    sgd = torch.optim.SGD(net.parameters(), lr=EDGE_RATE)
    tracker = CurvatureTracker((net, half_square, data), every=every, optimizer=sgd)
    run = train(
        net, half_square, data, optimizer=sgd, max_steps=steps, batch_size=20, callbacks=[tracker], seed=seed
    )
    return tracker.track, np.asarray(run.history.loss)


def growth(rate: float) -> float:
    """The factor by which momentum on the quadratic of the exercise grows per step: above 1 it diverges.

    It is the largest modulus among the roots z of z^2 - (1 + beta - rate h) z + beta, h the eigenvalues of H.
    """
    values = np.linalg.eigvalsh(HESSIAN)
    return max(float(np.abs(np.roots([1.0, -(1 + BETA - rate * h), BETA])).max()) for h in values)


def check(answer: Any) -> Checked:
    """The largest stable rate of momentum 0.5 on the quadratic with Hessian [[6, 2], [2, 3]]."""
    refused = needs_number(answer, "the largest stable rate")
    if refused is not None:
        return refused
    rate = float(answer)
    if rate <= 0:
        return wrong("a rate is larger than 0: with a step of 0 nothing moves")
    if growth(rate * (1 - CLOSE)) <= 1 < growth(rate * (1 + CLOSE)):
        return right("just below this rate every direction shrinks, just above it the steepest one grows")
    values = np.linalg.eigvalsh(HESSIAN)
    hints = {
        2 / values[-1]: "that is the limit of plain gradient descent; what does momentum change in it?",
        1
        / values[
            -1
        ]: "plain gradient descent would be in the middle of the valley in one step; here the limit is asked",
        (2 + 2 * BETA) / values[0]: "that is the limit of the flat direction; the steep one breaks first",
        (2 + 2 * BETA)
        / HESSIAN.max(): "the largest entry of H is not its largest eigenvalue: try torch.linalg.eigvalsh",
        (2 + 2 * BETA)
        / np.trace(HESSIAN): "that divides by the trace, the sum of the curvatures; one of them decides",
        values[-1] / (2 + 2 * BETA): "upside down: a steeper valley needs a smaller rate",
        (2 + 2 * 0.9) / values[-1]: "that is for a momentum of 0.9; here it is 0.5",
    }
    for typical, hint in hints.items():
        if abs(rate - typical) <= CLOSE * typical:
            return wrong(hint)
    if growth(rate) > 1:
        return wrong("at this rate the path diverges: try it with dk.descent_path, or halve the rate")
    return wrong("this rate is stable, but a larger one is, too")
