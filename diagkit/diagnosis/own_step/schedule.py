"""A learning-rate schedule, run on a stand-in: the rates it has given, and those it would have given."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

MOST_STEPS = 20_000


def rates_ahead(scheduler: Any, steps: int, afresh: bool = False) -> list[float] | None:
    """Rates of the first group over ``steps`` more steps, or from its beginning; None where none can be told.

    Example
    -------
    >>> sgd = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    >>> schedule = torch.optim.lr_scheduler.StepLR(sgd, 10, gamma=0.5)
    >>> rates_ahead(schedule, 25)[-1], schedule.last_epoch, sgd.param_groups[0]["lr"]
    (0.25, 0, 1.0)
    """
    if not isinstance(scheduler, LRScheduler) or steps > MOST_STEPS:
        return None
    owner = scheduler.optimizer
    stand_in = torch.optim.SGD([{"params": [torch.zeros(1)]} for _ in owner.param_groups], lr=0.0)
    for mine, group in zip(stand_in.param_groups, owner.param_groups, strict=True):
        mine.update({k: copy.deepcopy(v) for k, v in group.items() if k != "params"})
    try:
        twin = copy.deepcopy(scheduler, {id(owner): stand_in})
        if afresh:
            twin.last_epoch = 0
            for group in stand_in.param_groups:
                group["lr"] = group["initial_lr"]
        rates = [float(stand_in.param_groups[0]["lr"])]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # there is no step of an optimizer between these
            for _ in range(steps):
                twin.step()
                rates.append(float(stand_in.param_groups[0]["lr"]))
    except (RuntimeError, ValueError, TypeError, AttributeError, KeyError):  # past its end, say
        return None
    return rates


def idle_share(scheduler: Any, floor: float) -> float | None:
    """Share of its steps so far at which the rate was at most ``floor`` times its highest.

    None where the schedule, run from its beginning, does not come to where it is now.

    Example
    -------
    >>> sgd = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    >>> schedule = torch.optim.lr_scheduler.StepLR(sgd, 10, gamma=0.1)
    >>> for _ in range(100):
    ...     sgd.step()
    ...     schedule.step()
    >>> round(idle_share(schedule, 0.01), 2)
    0.8
    """
    rates = rates_ahead(scheduler, int(getattr(scheduler, "last_epoch", 0)), afresh=True)
    now = float(scheduler.optimizer.param_groups[0]["lr"]) if rates else 0.0
    if not rates or abs(rates[-1] - now) > 0.1 * max(rates[-1], now):
        return None
    return sum(rate <= (1 + 1e-9) * floor * max(rates) for rate in rates) / len(rates)


def end_of(scheduler: Any) -> int | None:
    """Steps after which the schedule has run its course, None where it has no end of its own."""
    for name in ("T_max", "total_steps"):
        if isinstance(getattr(scheduler, name, None), int):
            return int(getattr(scheduler, name))
    return None


def wraps_around(scheduler: Any) -> bool:
    """Does the rate rise again past the end?"""
    return isinstance(scheduler, CosineAnnealingLR)


def base_rate(scheduler: Any) -> float:
    """Rate that the schedule scales, of the first group."""
    group = scheduler.optimizer.param_groups[0]
    return float(group.get("max_lr") or group.get("initial_lr") or group["lr"])
