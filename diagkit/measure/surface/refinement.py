"""Evaluate a function on a grid where it is needed, and interpolate it elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation
from scipy.spatial import cKDTree

from diagkit.measure.surface.prediction import Prediction, predict
from diagkit.measure.surface.scale import Scale

COARSEST = 5  # nodes per axis at the start
SMALL = 64  # a grid of so many cells is evaluated at once
GROWTH, LEAST, MOST = 0.25, 8, 150  # cells of a round: this share of those evaluated, within these bounds
NEAR = 3  # cells: what is farther from all interpolated ones is no node of the spline
SAFETY = 1.25  # the largest error anywhere over the largest where it was looked for
MOST_NODES = 1500  # a spline through more takes longer than it saves, and the surface is rough anyway

Evaluate = Callable[[np.ndarray], np.ndarray]  # cells [m, 2], as indices -> losses of the first r <= m


@dataclass(frozen=True, eq=False)
class Grid:
    """One stage of the refinement.

    Attributes
    ----------
    loss [n, k] : evaluated where ``evaluated``, else interpolated; NaN where nothing is known.
    max_error : largest estimated error of an interpolated cell, as a fraction of the range of the picture; 0
        where every cell was evaluated. The larger of two: what was wrong about the cells of the last round
        before they were evaluated, and about the cells near those interpolated, each left out in turn.
    final : no stage comes after this one. complete : it ended by itself.
    """

    loss: np.ndarray
    evaluated: np.ndarray
    max_error: float
    final: bool
    complete: bool


def refinements(
    evaluate: Evaluate, shape: tuple[int, int], centre: tuple[int, int], tol: float | None
) -> Iterator[Grid]:
    """Stages of better and better pictures, until every interpolated cell is known to ``tol``.

    The first cells are 5 x 5 Chebyshev nodes with the centre. Then, in rounds: half of the new cells lie
    where the prediction is in most doubt, half where the evaluated ones are farthest, so that nothing is
    overlooked because it was once thought smooth. On a logarithmic picture the cell foretold to be the lowest
    comes first: its colour, and the range of all colours, hang on it. Around cells that are not finite, all
    are evaluated: nothing is interpolated across a border that is not known.
    """
    work = _Work(evaluate, shape)
    if tol is None or work.size <= SMALL:
        work.take(np.arange(work.size))
        yield work.stage(None, final=True)
        return
    work.take(_first_cells(shape, centre))
    while True:
        work.surround()
        if work.interrupted or work.done.all():
            break
        prediction = work.predict()
        good, lower = prediction.exists and work.max_error(prediction) <= tol, work.below(prediction)
        final = good and not lower.size
        yield work.stage(prediction, final=final)
        if final:
            return
        work.check(prediction, lower if good else np.union1d(lower, _next_cells(work, prediction)))
    yield work.stage(work.predict() if work.interrupted else None, final=True)


class _Work:
    """What has been evaluated so far."""

    def __init__(self, evaluate: Evaluate, shape: tuple[int, int]) -> None:
        self.evaluate, self.shape, self.size = evaluate, shape, shape[0] * shape[1]
        self.cells = np.stack(np.unravel_index(np.arange(self.size), shape), axis=1)
        self.places = 2.0 * self.cells / (np.array(shape) - 1) - 1.0  # [cells, 2] in [-1, 1]^2
        self.loss = np.full(self.size, np.nan)
        self.done = np.zeros(self.size, dtype=bool)
        self.held_out = 0.0  # largest error of the last prediction, where it was checked
        self.interrupted = False

    @property
    def known(self) -> np.ndarray:
        return self.done & np.isfinite(self.loss)

    @property
    def nodes(self) -> np.ndarray:
        """Known cells near those that are not: what lies inside an evaluated region helps nobody."""
        near = binary_dilation(~self.done.reshape(self.shape), np.ones((2 * NEAR + 1, 2 * NEAR + 1))).ravel()
        return self.known & near

    def take(self, cells: np.ndarray) -> np.ndarray:
        """Evaluate these cells, given as flat indices; returned are those that were."""
        values = self.evaluate(self.cells[cells])
        taken = cells[: len(values)]
        self.loss[taken], self.done[taken] = values, True
        self.interrupted |= len(values) < len(cells)
        return taken

    def check(self, prediction: Prediction, cells: np.ndarray) -> None:
        """Evaluate these cells and remember how wrong the prediction was about them."""
        taken = self.take(cells)
        if not (prediction.exists and np.isfinite(self.loss[taken]).all()):
            self.held_out = np.inf
        elif taken.size:
            errors = Scale.of(self.loss[self.known]).error(prediction.loss[taken], self.loss[taken])
            kept = self.held_out if taken.size < LEAST else 0.0  # a few cells do not replace a whole round
            self.held_out = max(kept, float(errors.max()))

    def surround(self) -> None:
        """Evaluate the neighbours of cells that are not finite, until the border is closed."""
        while not self.interrupted:
            bad = (self.done & ~np.isfinite(self.loss)).reshape(self.shape)
            around = binary_dilation(bad, np.ones((3, 3))).ravel() & ~self.done
            if not around.any():
                return
            self.take(np.flatnonzero(around))

    def predict(self) -> Prediction:
        return predict(self.places, self.nodes, self.loss)

    def max_error(self, prediction: Prediction) -> float:
        return SAFETY * max(self.held_out, float(prediction.error[~self.done].max(initial=0.0)))

    def below(self, prediction: Prediction) -> np.ndarray:
        """The cell [1] foretold to lie below all evaluated ones, where the picture is logarithmic down there.

        Empty where there is none.
        """
        left, known = np.flatnonzero(~self.done), self.loss[self.known]
        if not (prediction.exists and left.size and known.min() > 0):
            return left[:0]
        lowest = left[[int(np.argmin(prediction.loss[left]))]]
        foretold = float(prediction.loss[lowest][0])
        is_log = foretold <= 0 or Scale.of(np.append(known, foretold)).floor is not None
        return lowest if foretold < known.min() and is_log else left[:0]

    def stage(self, prediction: Prediction | None, *, final: bool) -> Grid:
        done, loss, error = self.done.reshape(self.shape), self.loss, float("nan")
        if done.all():
            error = 0.0
        elif prediction is not None and prediction.exists:
            loss, error = np.where(self.done, loss, prediction.loss), self.max_error(prediction)
        return Grid(
            loss.reshape(self.shape).copy(), done.copy(), error, final, final and not self.interrupted
        )


def _first_cells(shape: tuple[int, int], centre: tuple[int, int]) -> np.ndarray:
    """Flat indices of a coarse grid that is denser towards the border, where splines are worst."""
    axes = []
    for size, middle in zip(shape, centre, strict=True):
        nodes = 0.5 * (1 - np.cos(np.linspace(0, np.pi, COARSEST))) * (size - 1)
        axes.append(np.unique(np.append(np.round(nodes).astype(int), middle)))
    rows, columns = np.meshgrid(*axes, indexing="ij")
    return np.ravel_multi_index((rows.ravel(), columns.ravel()), shape)


def _next_cells(work: _Work, prediction: Prediction) -> np.ndarray:
    """Flat indices of the next round."""
    left = np.flatnonzero(~work.done)
    count = int(np.clip(GROWTH * work.done.sum(), LEAST, MOST))
    if 2 * count >= len(left) or work.nodes.sum() > MOST_NODES:
        return left
    places = work.places[left]
    distance = cKDTree(work.places[work.done]).query(places)[0]
    reach = np.sqrt(4.0 / (work.done.sum() + count))  # the mean spacing after this round
    doubt = np.minimum(prediction.doubt[left], 1.0) + 1e-12
    chosen = []
    for turn in range(count):
        wanted = distance if turn % 2 else doubt * (1.0 - np.exp(-((distance / reach) ** 2)))
        pick = int(np.argmax(wanted))
        chosen.append(pick)
        distance = np.minimum(distance, np.hypot(*(places - places[pick]).T))
    return left[np.unique(chosen)]
