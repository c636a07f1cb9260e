"""The highest loss in a ball, by Frank and Wolfe's steps towards where the gradient points."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from diagkit.measure.sharpness.neighbourhood import Neighbourhood, Search
from diagkit.work import interrupted

SHARES = (1.0, 0.5, 0.25, 0.125)  # of the way to the boundary, tried in this order
SMALLEST_GAIN = 1e-5  # relative; below it a search has arrived


def climb_in_ball(hood: Neighbourhood, s: Tensor, steps: int) -> Search:
    r"""From s, ||s|| <= 1, at most ``steps`` steps s <- s + gamma (g / ||g|| - s), g the gradient at s.

    The point of the unit ball that a linear function prefers is g / ||g||, so that every step stays in the
    ball without projection (Frank and Wolfe 1956). With gamma = 1 from s = 0 this is SAM's step; where the
    loss is convex gamma = 1 always climbs, and on a quadratic it is the power method. The loss never falls
    along the way: gamma is halved until it rises, and the search ends where that does not help. What it finds
    is invariant under rescaling of the parameters if the map M is.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> from diagkit.measure.sharpness.neighbourhood import Start
    >>> w = torch.nn.Linear(2, 1, bias=False).double()
    >>> X = torch.tensor([[2.0, 0.0], [0.0, 1.0]])  # L = (4 w_1^2 + w_2^2) / 2
    >>> obj = dk.Objective(w, torch.nn.MSELoss(), (X, torch.zeros(2, 1))).at([0.0, 0.0])
    >>> hood = Neighbourhood(obj, Start.of(obj, 1e-12), lambda s: s, lambda g: g)
    >>> round(climb_in_ball(hood, torch.tensor([0.6, 0.8], dtype=torch.float64), 20).rise, 4)
    2.0
    """
    rise = hood.rise(s)
    for _ in range(steps):
        if interrupted():
            return Search(rise, s, complete=False)
        if not np.isfinite(rise):
            break
        gradient = hood.slope(s)
        norm = float(gradient.norm())
        if not np.isfinite(norm) or norm == 0.0:
            break
        step = gradient / norm - s
        gain, enough = 0.0, max(SMALLEST_GAIN * abs(rise), hood.start.rounding)
        for share in SHARES:
            there = hood.rise(s + share * step)
            gain = there - rise
            if gain > 0:
                s, rise = s + share * step, there
                break
        if not gain > enough:
            break
    return Search(rise, s)
