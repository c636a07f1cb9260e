"""Where the loss is lowest in a plane: the lowest cell of a picture, refined by a parabola."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from diagkit.errors import InputError
from diagkit.measure.surface.plane import Plane
from diagkit.measure.surface.plane_slice import PlaneSlice
from diagkit.measure.surface.points import LossesAt, evaluating
from diagkit.objective import Objective, recut

MOVES = 16  # of the window; two or three are usual
CENTRED = 0.02  # in spacings: from there on the slope of a third-order term is what the two fits disagree on
ROUNDINGS = 4  # of the dtype, relative: standard deviation of a loss from rounding
GROUPS = 32  # of examples, whose gradients tell how much the minimum hangs on them
LEAST = 8  # examples below which nothing is said about that
WINDOW = np.array([(i / 2, j / 2) for i in range(-2, 3) for j in range(-2, 3)])  # in spacings of the picture
INNER = np.flatnonzero(np.abs(WINDOW).max(axis=1) <= 0.5)


@dataclass(frozen=True)
class PlaneMinimum:
    """The minimum over a plane, in its coordinates (a, b).

    Attributes
    ----------
    where [2], error [2] : by a parabola, and how far a parabola through a window twice as wide disagrees.
    sampling [2, 2] : covariance of ``where`` over draws of the examples, NaN where that is not known.
    hessian [2, 2] : second derivatives of L by a and b there. loss : L there.
    found : False where no minimum lies inside the picture; ``reason`` says why.
    """

    where: np.ndarray
    error: np.ndarray
    sampling: np.ndarray
    hessian: np.ndarray
    loss: float
    reason: str = ""

    @property
    def found(self) -> bool:
        return not self.reason


def nowhere(reason: str) -> PlaneMinimum:
    """What is said of a minimum that was not found."""
    gap, square = np.full(2, np.nan), np.full((2, 2), np.nan)
    return PlaneMinimum(gap, gap, square, square, float("nan"), reason)


def minimum_in(obj: Objective, plane: Plane, picture: PlaneSlice) -> PlaneMinimum:
    """Refine the lowest cell of a picture by least-squares parabolas through a window of 25 fresh losses.

    The window reaches one spacing of the picture to each side, and moves downhill until the minimum lies in
    its middle: first to its lowest loss, and to the minimum of the parabola once that has one. The answer is
    that of its inner nine points; their disagreement with all 25 estimates its error: what a parabola leaves
    out shrinks with the square of the window.
    """
    known = np.where(picture.evaluated & np.isfinite(picture.loss), picture.loss, np.inf)
    if not picture.complete or not np.isfinite(known).any():
        return nowhere("the picture has no finite loss or is not complete")
    i, j = np.unravel_index(int(known.argmin()), known.shape)
    spacing = np.array([picture.a[1] - picture.a[0], picture.b[1] - picture.b[0]])
    low, high = (np.array([picture.a[k], picture.b[k]]) for k in (0, -1))
    # Inside: from a lowest cell on the border the walk leads out, or back in where interpolation hid the way.
    centre = np.clip([picture.a[i], picture.b[j]], low + spacing, high - spacing)
    with evaluating(obj, plane.origin, [plane.d1, plane.d2]) as losses_at:
        for _ in range(MOVES):
            losses = losses_at(centre + spacing * WINDOW)
            if len(losses) < len(WINDOW) or not np.isfinite(losses).all():
                return nowhere("the loss around the lowest cell is not finite, or the time ran out")
            fits = [parabola(WINDOW[rows], losses[rows]) for rows in (slice(None), INNER)]
            bowl = all(np.linalg.eigvalsh(bend)[0] > 0 for _, bend in fits)
            if bowl:
                wide, inner = (-np.linalg.solve(bend, slope) for slope, bend in fits)
                if np.abs(inner).max() <= CENTRED:
                    break
            step = np.clip(inner, -1.0, 1.0) if bowl else WINDOW[int(losses.argmin())]
            if not step.any():
                return nowhere("around its lowest point the surface is no bowl")
            centre = centre + spacing * step
            if (centre < low).any() or (centre > high).any():
                return nowhere("the lowest loss lies on the border of the picture")
        else:
            return nowhere("its minimum lies along a valley that the picture does not resolve")
        where = centre + spacing * inner
        hessian = fits[1][1] / np.outer(spacing, spacing)
        return PlaneMinimum(
            where=where,
            error=spacing * (np.abs(inner - wide) + rounding(obj, losses, fits[1][1])),
            sampling=spread_over_examples(obj, plane, where, hessian),
            hessian=hessian,
            loss=_loss_at(losses_at, where),
        )


def parabola(points: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slope [2] and second derivatives [2, 2] at 0 of the parabola nearest to ``values`` [n].

    Example
    -------
    >>> slope, bend = parabola(WINDOW, 7 + WINDOW[:, 0] + 3 * WINDOW[:, 0] * WINDOW[:, 1])
    >>> slope.round(9) + 0, bend.round(9) + 0
    (array([1., 0.]), array([[0., 3.],
           [3., 0.]]))
    """
    x, y = points.T
    columns = np.stack([np.ones_like(x), x, y, x * x / 2, x * y, y * y / 2], axis=1)
    # The middle is taken off first: the fit then rounds differences, not losses.
    _, a, b, aa, ab, bb = np.linalg.lstsq(columns, values - values.mean(), rcond=None)[0]
    return np.array([a, b]), np.array([[aa, ab], [ab, bb]])


def rounding(obj: Objective, losses: np.ndarray, bend: np.ndarray) -> np.ndarray:
    """What rounding moves the minimum by, [2], in spacings: six points of INNER tell a slope."""
    noise = ROUNDINGS * torch.finfo(obj.fixed.precision).eps * float(np.abs(losses).max())
    return np.sqrt(np.diag(np.linalg.inv(bend @ bend))) * noise / (0.5 * np.sqrt(6))


def spread_over_examples(obj: Objective, plane: Plane, where: np.ndarray, hessian: np.ndarray) -> np.ndarray:
    """H^-1 C H^-1 [2, 2]: C is the covariance of the mean gradient in the plane, from groups of examples."""
    unknown = np.full((2, 2), np.nan)
    groups = min(GROUPS, obj.num_examples)
    if groups < LEAST or obj.norm_stats == "batch" or obj.ranks.size > 1:
        return unknown
    try:
        parts = recut(obj, -(-obj.num_examples // groups))
    except InputError:  # examples of different shapes, which make no groups
        return unknown
    gradients = parts.batch_gradients(plane.point(*where))
    slopes = torch.stack([gradients @ d.to(gradients) for d in (plane.d1, plane.d2)], dim=1).cpu().numpy()
    inverse = np.linalg.inv(hessian)
    return inverse @ np.cov(slopes.T) @ inverse / len(slopes)


def _loss_at(losses_at: LossesAt, where: np.ndarray) -> float:
    found = losses_at(where[None])
    return float(found[0]) if len(found) else float("nan")
