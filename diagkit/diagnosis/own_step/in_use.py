"""What is in use although it was not given: found in what the step closes over; and how far it has come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from diagkit.diagnosis.own_step.reach import reached
from diagkit.training import History

SCHEDULERS = (LRScheduler, ReduceLROnPlateau)
Step = Callable[[Any], Any]


def optimizer_in_use(
    model: nn.Module, given: torch.optim.Optimizer | None, step: Step | None
) -> torch.optim.Optimizer | None:
    """The one given, else the only one that the step closes over and that holds tensors of the model."""
    if given is not None or step is None:
        return given
    own = {id(p) for p in model.parameters()}
    found = [
        optimizer
        for optimizer in reached(step, torch.optim.Optimizer)
        if any(id(p) in own for group in optimizer.param_groups for p in group["params"])
    ]
    return found[0] if len(found) == 1 else None


def scheduler_in_use(given: Any, step: Step | None) -> Any:
    """The one given, else the only one that the step closes over."""
    if given is not None or step is None:
        return given
    found = schedulers_of(step)
    return found[0] if len(found) == 1 else None


def schedulers_of(step: Step) -> list[Any]:
    """Those that the step closes over and that are not parts of another one, as in a sequence."""
    found = reached(step, SCHEDULERS)
    inside = {id(part) for s in found for part in getattr(s, "_schedulers", ())}
    return [s for s in found if id(s) not in inside]


def updates_counted(optimizer: torch.optim.Optimizer | None) -> int | None:
    """Updates by the optimizer's own count, None where it keeps none (SGD).

    Example
    -------
    >>> w = torch.zeros(1, requires_grad=True)
    >>> adam = torch.optim.Adam([w])
    >>> w.grad = torch.ones(1)
    >>> adam.step()
    >>> updates_counted(adam), updates_counted(torch.optim.SGD([w], lr=0.1))
    (1, None)
    """
    if optimizer is None:
        return None
    counts = [state["step"] for state in optimizer.state.values() if "step" in state]
    counts += [state["n_iter"] for state in optimizer.state.values() if "n_iter" in state]
    return max((int(float(c)) if isinstance(c, Tensor) else int(c) for c in counts), default=None)


def updates_logged(history: History | None) -> int | None:
    """Updates by the log: its last step counts from 0."""
    if history is None or not len(history.step):
        return None
    return int(history.step[-1]) + 1
