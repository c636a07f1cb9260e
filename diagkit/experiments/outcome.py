"""What one run of a sweep leaves behind: numbers, series, tensors, or the error that ended it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from diagkit.errors import InputError
from diagkit.experiments.grid import RESERVED, Cell, Setting


@dataclass(frozen=True)
class Outcome:
    """What a run returns where a flat dict of numbers does not say all.

    Attributes
    ----------
    scalars : name -> number, string, boolean or None. NaN and Inf are results: a run that diverged has
        not failed.
    series : columns of one length, such as the loss at each step; a frame or a mapping of arrays.
    tensors : such as the final parameters. They come back on the CPU.

    Example
    -------
    >>> Outcome({"loss": 0.1}, series={"step": [0, 1], "loss": [0.3, 0.1]}).scalars
    {'loss': 0.1}
    """

    scalars: Mapping[str, Setting]
    series: Any = None
    tensors: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """A cell of the grid, done or failed.

    Attributes
    ----------
    outcome : None where the run raised an error. seconds : wall time, without waiting for its turn.
    error : type and text of that error, else empty.
    """

    cell: Cell
    outcome: Outcome | None
    seconds: float
    error: str = ""

    @property
    def row(self) -> dict[str, Any]:
        """This run as a row of the table."""
        scalars = self.outcome.scalars if self.outcome else {}
        status = {"status": "failed" if self.error else "done", "error": self.error}
        return {**self.cell.settings, "seed": self.cell.seed, **scalars, "seconds": self.seconds, **status}


def as_outcome(returned: Any, taken: tuple[str, ...]) -> Outcome:
    """What a run returned, as plain numbers, a frame and CPU tensors.

    Parameters
    ----------
    taken : names of the settings, which no number may have.

    Raises
    ------
    InputError : no mapping of names to scalars; the text names the first thing that is none.

    Example
    -------
    >>> import torch
    >>> as_outcome({"loss": torch.tensor(0.5), "steps": np.int64(3)}, ()).scalars
    {'loss': 0.5, 'steps': 3}
    """
    outcome = returned if isinstance(returned, Outcome) else Outcome(returned)
    if not isinstance(outcome.scalars, Mapping):
        raise InputError(
            f"a run that returned a {type(returned).__name__}",
            allowed="a flat dict of scalars, or an Outcome",
            write='return {"loss": loss}',
        )
    for name in outcome.scalars:
        if name in taken or name in RESERVED or not isinstance(name, str):
            raise InputError(
                f"a result called {name!r}",
                allowed=f"names other than those of the settings and {', '.join(RESERVED)}",
            )
    series = None if outcome.series is None else pd.DataFrame(outcome.series).reset_index(drop=True)
    tensors = {name: t.detach().cpu().contiguous().clone() for name, t in outcome.tensors.items()}
    return Outcome({name: _scalar(name, value) for name, value in outcome.scalars.items()}, series, tensors)


def _scalar(name: str, value: Any) -> Setting:
    if isinstance(value, (np.ndarray, np.generic, Tensor)) and np.prod(value.shape) == 1:
        value = value.item()
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    raise InputError(
        f"the result {name} of type {type(value).__name__}",
        allowed="a number, a string, a boolean or None",
        write="Outcome(scalars, series=..., tensors=...) for more than one number",
    )
