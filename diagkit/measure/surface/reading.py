"""Read a picture: the loss at one of its places, interpolated and computed, and along a line."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import RectBivariateSpline, RegularGridInterpolator

from diagkit.errors import InputError
from diagkit.measure.surface.plane import Plane
from diagkit.measure.surface.plane_slice import PlaneSlice
from diagkit.objective import Objective

STEPS = 201  # points of a section


@dataclass(frozen=True)
class Reading:
    """The loss at the place (a, b) of a plane.

    Attributes
    ----------
    computed : L(theta + a d1 + b d2), by a pass of its own.
    interpolated : what the picture says there; NaN outside of it.
    here : what the picture says at the model. allowed : the error that it states, in units of the loss.
    """

    a: float
    b: float
    computed: float
    interpolated: float
    here: float
    allowed: float


def read_loss(obj: Objective, plane: Plane, picture: PlaneSlice, a: float, b: float) -> Reading:
    """Compute the loss at (a, b), and hold what the picture says against it. One pass.

    Raises
    ------
    InputError : a place that is not finite.

    Example
    -------
    >>> import torch
    >>> from diagkit.measure.surface.plane_slice import loss_plane
    >>> net = torch.nn.Linear(2, 1, bias=False).double()
    >>> obj = Objective(net, torch.nn.MSELoss(), (torch.eye(2), torch.zeros(2, 1))).at([0.0, 0.0])
    >>> plane = Plane(obj.theta, *torch.eye(2).double())  # L = (a^2 + b^2) / 2
    >>> found = read_loss(obj, plane, loss_plane(obj, plane), 0.6, -0.8)
    >>> round(found.computed, 9), round(found.interpolated, 9), round(found.here, 9)
    (0.5, 0.5, 0.0)
    """
    if not (np.isfinite(a) and np.isfinite(b)):
        raise InputError(f"the place ({a}, {b})", allowed="two finite numbers")
    said, here = interpolated(picture, np.array([[a, b], [0.0, 0.0]])).tolist()
    span = picture.scale.high - picture.scale.low
    return Reading(
        float(a), float(b), float(obj.loss(plane.point(a, b))), said, here, picture.max_error * span
    )


def interpolated(picture: PlaneSlice, places: np.ndarray) -> np.ndarray:
    """What the picture says at ``places`` [m, 2]: a cubic spline through its cells; NaN outside of it.

    Where some cells are not finite, straight between the four cells around, so that NaN stays where it is.

    Example
    -------
    >>> import torch
    >>> from diagkit.measure.surface.plane_slice import loss_plane
    >>> net = torch.nn.Linear(2, 1, bias=False).double()
    >>> obj = Objective(net, torch.nn.MSELoss(), (torch.eye(2), torch.zeros(2, 1))).at([0.0, 0.0])
    >>> interpolated(loss_plane(obj, torch.eye(2)), np.array([[0.51, 0.0], [3.0, 0.0]])).round(5)
    array([0.13005,     nan])
    """
    places = np.asarray(places, dtype=float)
    a, b = picture.a, picture.b
    inside = (places >= [a[0], b[0]]).all(axis=1) & (places <= [a[-1], b[-1]]).all(axis=1)
    found = np.full(len(places), np.nan)
    if np.isfinite(picture.loss).all():
        degrees = {"kx": min(3, len(a) - 1), "ky": min(3, len(b) - 1)}
        found[inside] = RectBivariateSpline(a, b, picture.loss, **degrees).ev(*places[inside].T)
    else:
        loss = np.where(np.isfinite(picture.loss), picture.loss, np.nan)
        found[inside] = RegularGridInterpolator((a, b), loss)(places[inside])
    return found


@dataclass(frozen=True, eq=False)
class Section:
    """The loss of a picture along the straight line through the model and another place.

    Attributes
    ----------
    s [n] : distance from the model, in units of a and b, negative on the far side. loss [n] : interpolated.
    direction : (a, b) of a step of s = 1.
    """

    s: np.ndarray
    loss: np.ndarray
    direction: tuple[float, float]


def section(picture: PlaneSlice, a: float, b: float) -> Section:
    """From border to border of the picture, through (0, 0) and (a, b); along a where both are the same.

    Example
    -------
    >>> import torch
    >>> from diagkit.measure.surface.plane_slice import loss_plane
    >>> net = torch.nn.Linear(2, 1, bias=False).double()
    >>> obj = Objective(net, torch.nn.MSELoss(), (torch.eye(2), torch.zeros(2, 1))).at([0.0, 0.0])
    >>> cut = section(loss_plane(obj, torch.eye(2)), 0.3, 0.3)  # L = s^2 / 2 along every line
    >>> bool(np.allclose(cut.loss, cut.s**2 / 2)), cut.s[[0, -1]].round(3)
    (True, array([-1.414,  1.414]))
    """
    length = float(np.hypot(a, b))
    one = np.array([a, b]) / length if length else np.array([1.0, 0.0])
    low, high = -np.inf, np.inf
    for axis, step in zip((picture.a, picture.b), one, strict=True):
        if step:
            ends = sorted((axis[0] / step, axis[-1] / step))
            low, high = max(low, ends[0]), min(high, ends[1])
    s = np.linspace(low, high, STEPS)
    places = np.clip(
        s[:, None] * one, [picture.a[0], picture.b[0]], [picture.a[-1], picture.b[-1]]
    )  # rounding does not leave the picture
    return Section(s, interpolated(picture, places), (float(one[0]), float(one[1])))
