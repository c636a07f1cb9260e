"""What a measurement cost: products, forward passes, seconds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TypedDict

import torch
from torch import Tensor

from diagkit.errors import InputError, NonFiniteError
from diagkit.objective import Objective


class Price(TypedDict):
    """The fields of every Result that say what it cost."""

    num_hvps: int
    num_evals: int
    seconds: float


@dataclass
class Bill:
    """Counts from its creation on: ``Result(..., **bill.paid())``."""

    obj: Objective

    def __post_init__(self) -> None:
        meter = self.obj.meter
        self._start = (meter.num_hvps, meter.num_evals, time.perf_counter())

    def paid(self) -> Price:
        hvps, evals, clock = self._start
        meter = self.obj.meter
        return Price(
            num_hvps=meter.num_hvps - hvps,
            num_evals=meter.num_evals - evals,
            seconds=time.perf_counter() - clock,
        )


def in_words(num_bytes: float) -> str:
    """Bytes with a unit.

    Example
    -------
    >>> in_words(512), in_words(3 << 20), in_words(2.5 * 2**30)
    ('512 B', '3.0 MiB', '2.5 GiB')
    """
    for unit in ("B", "KiB", "MiB"):
        if num_bytes < 1024:
            return f"{num_bytes:.0f} {unit}" if unit == "B" else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1024
    return f"{num_bytes:.1f} GiB"


def finite_gradient(obj: Objective) -> Tensor:
    """The gradient [P] in float64; an error where it is not finite."""
    gradient = obj.batch_gradients(mean=True)[0]
    if not bool(torch.isfinite(gradient).all()):
        raise NonFiniteError(
            "the gradient holds NaN or Inf at this point; look for sqrt or norm at 0, log(0), 0/0 or an "
            "overflow inside the loss"
        )
    return gradient


def check_objective(obj: object) -> Objective:
    """``obj``, or an error that says how to make one."""
    if not isinstance(obj, Objective):
        raise InputError(
            f"a {type(obj).__name__}",
            allowed="a diagkit Objective",
            write="dk.Objective(model, loss_fn, (X, y))",
        )
    obj.ranks.start()
    return obj
