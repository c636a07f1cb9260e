"""The loss along a line through theta."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from diagkit.errors import InputError
from diagkit.measure.price import Bill, check_objective
from diagkit.measure.surface.coordinates import centred, check_grid
from diagkit.measure.surface.directions import checked_direction, filter_normalized
from diagkit.objective import Objective
from diagkit.result import Result
from diagkit.work import interrupted, progress

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class LineSlice(Result):
    """loss[i] = L(theta + t[i] d).

    Attributes
    ----------
    t [n] : displacement in units of the direction's length. loss [n] : NaN or Inf as found.
    direction [P]. kind : "random, filter-normalized", "given", or "between two points".
    """

    t: np.ndarray
    loss: np.ndarray
    direction: np.ndarray
    kind: str

    def summary(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "t": [self.t[0], self.t[-1]],
            "loss": [np.nanmin(self.loss), np.nanmax(self.loss)],
            "not_finite": int((~np.isfinite(self.loss)).sum()),
            "num_evals": self.num_evals,
        }

    def to_frame(self) -> pd.DataFrame:
        import pandas as pd

        return pd.DataFrame({"t": self.t, "loss": self.loss})


def loss_line(
    obj: Objective,
    direction: Any = None,
    *,
    to: Any = None,
    extent: float = 1.0,
    resolution: int = 51,
    seed: int = 0,
) -> LineSlice:
    """L(theta + t d) for t from -extent to extent, or from theta to another point.

    Parameters
    ----------
    direction : [P], used unchanged; None draws a random filter-normalized one.
    to : another point [P]: d = to - theta and t runs from 0 to ``extent``, so that t = 1 is ``to``.

    Raises
    ------
    InputError : both ``direction`` and ``to``, a wrong shape, NaN, extent <= 0, resolution < 3.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> net = torch.nn.Linear(1, 1, bias=False).double()
    >>> obj = dk.Objective(net, torch.nn.MSELoss(), (torch.ones(2, 1), torch.zeros(2, 1)))
    >>> line = dk.loss_line(obj.at([0.0]), [1.0], extent=2.0, resolution=5)  # L = w^2
    >>> line.t.tolist(), line.loss.tolist()
    ([-2.0, -1.0, 0.0, 1.0, 2.0], [4.0, 1.0, 0.0, 1.0, 4.0])
    """
    check_objective(obj)
    check_grid(extent, resolution)
    if direction is not None and to is not None:
        raise InputError("both direction and to", allowed="one of them", write="loss_line(obj, to=theta2)")
    bill = Bill(obj)
    if to is not None:
        d, kind = obj.layout.check(to, "to") - obj.theta, "between two points"
        t = np.linspace(0.0, extent, resolution)
    else:
        kind = "random, filter-normalized" if direction is None else "given"
        d = filter_normalized(obj, seed) if direction is None else checked_direction(obj, direction)
        t = centred(extent, resolution)
    theta, loss = obj.theta, np.full(resolution, np.nan)
    complete = True
    with progress("line: evaluations", resolution) as advance:
        for i, x in enumerate(t):
            loss[i] = obj.loss(theta + float(x) * d)
            advance(1)
            if interrupted():
                complete = i == resolution - 1
                break
    return LineSlice(
        t=t,
        loss=loss,
        direction=d.double().cpu().numpy(),
        kind=kind,
        complete=complete,
        seed=seed if direction is None and to is None else None,
        **bill.paid(),
    )
