"""What :func:`train` accepts, and what it says about the rest before any work starts."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from diagkit.errors import InputError


def check_arguments(
    model: Any, loss_fn: Any, epochs: Any, max_steps: Any, scheduler_step: Any, seed: Any
) -> None:
    """Refuse what cannot be meant."""
    if not isinstance(model, nn.Module):
        raise InputError(f"model of type {type(model).__name__}", allowed="a torch.nn.Module")
    if not callable(loss_fn):
        raise InputError(
            f"loss_fn={loss_fn!r}",
            allowed="a callable (outputs, targets) -> scalar",
            write="torch.nn.CrossEntropyLoss()",
        )
    if epochs is None and max_steps is None:
        raise InputError(
            "neither epochs nor max_steps",
            allowed="one of them, or both: what comes first",
            write="epochs=10",
        )
    for name, value in (("epochs", epochs), ("max_steps", max_steps)):
        if value is not None and (not _is_whole(value) or value < 1):
            raise InputError(
                f"{name}={value!r}", allowed="an integer of 1 or more, or None", write=f"{name}=10"
            )
    if scheduler_step not in ("step", "epoch"):
        raise InputError(
            f"scheduler_step={scheduler_step!r}", allowed="'step' or 'epoch'", write="scheduler_step='epoch'"
        )
    if not _is_whole(seed):
        raise InputError(f"seed={seed!r}", allowed="an integer", write="seed=0")


def trainable(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that require a gradient, in the order of ``model.parameters()``."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise InputError(
            f"a {type(model).__name__} with {sum(1 for _ in model.parameters())} parameter tensors, "
            "none of them trainable",
            allowed="at least one parameter with requires_grad=True",
            write="model.requires_grad_(True)",
        )
    if any(isinstance(p, nn.parameter.UninitializedParameter) for p in parameters):
        raise InputError(
            "uninitialized parameters",
            allowed="a model that has seen its shapes",
            write="model(x) before train",
        )
    return parameters


def make_optimizer(given: Any, parameters: list[nn.Parameter]) -> tuple[torch.optim.Optimizer, list[str]]:
    """The optimizer, and what is odd about it."""
    optimizer = given if _is_optimizer(given) else given(list(parameters)) if callable(given) else None
    if optimizer is None or not _is_optimizer(optimizer):
        raise InputError(
            f"optimizer={given!r}"
            if optimizer is None
            else f"an optimizer function that returned a {type(optimizer).__name__}",
            allowed="an optimizer, or a function of the parameters that returns one",
            write="optimizer=lambda params: torch.optim.SGD(params, lr=0.1)",
        )
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    missing = [p for p in parameters if id(p) not in held]
    if not missing:
        return optimizer, []
    count = "none" if len(missing) == len(parameters) else f"{len(parameters) - len(missing)}"
    return optimizer, [
        f"the optimizer holds {count} of the model's {len(parameters)} trainable tensors: the others stay as "
        "they are"
    ]


def make_scheduler(given: Any, optimizer: Any) -> tuple[Any, list[str]]:
    """The scheduler, and what is odd about it."""
    is_scheduler = hasattr(given, "step") and not isinstance(given, type)
    if given is None:
        return None, []
    scheduler = given if is_scheduler else given(optimizer) if callable(given) else None
    if not hasattr(scheduler, "step"):
        raise InputError(
            f"scheduler={given!r}"
            if scheduler is None
            else f"a scheduler of type {type(scheduler).__name__}",
            allowed="a scheduler, or a function of the optimizer that returns one",
            write="scheduler=lambda opt: torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=1000)",
        )
    other = getattr(scheduler, "optimizer", optimizer) is not optimizer
    return scheduler, [
        "the scheduler was made for another optimizer: the learning rate stays"
    ] if other else []


def _is_optimizer(thing: Any) -> bool:
    groups = getattr(thing, "param_groups", None)
    return isinstance(groups, list) and hasattr(thing, "step") and not isinstance(thing, (type, Tensor))


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
