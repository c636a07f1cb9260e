"""A copy of the user's model and optimizer to try things on, and the things that can be tried."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from diagkit.errors import InputError
from diagkit.objective import Objective, Step

DEFAULT_RATE = 1e-3  # of Adam, where no optimizer is given


@dataclass(frozen=True)
class Twin:
    """Model and optimizer, bound to each other as the originals are, and how they are to be trained."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    larger_batch: int = 1  # times the batch of the original run
    step: Step | None = None  # trained on this loss instead of the one that is looked at
    payloads: Sequence[Any] | None = None  # trained on these batches, in this order, again and again

    @classmethod
    def of(cls, model: nn.Module, optimizer: torch.optim.Optimizer | None) -> Twin:
        """Copy both at once: parameters, buffers, optimizer state; ``.grad`` is dropped."""
        try:
            # One copy of the pair keeps the optimizer's references pointing at the copied parameters.
            memo: dict[int, Any] = {}
            original, (model, optimizer) = optimizer, copy.deepcopy((model, optimizer), memo)
            # A copied optimizer keeps its groups and state only; LBFGS, among others, holds more.
            for name, value in vars(original).items() if original is not None else ():
                if not hasattr(optimizer, name):
                    setattr(optimizer, name, copy.deepcopy(value, memo))
        except (RuntimeError, TypeError, AttributeError) as error:
            raise InputError(
                f"a {type(model).__name__} that cannot be copied ({error})",
                allowed="a model and an optimizer that copy.deepcopy can copy",
                write="model attributes without tensors that carry a graph (detach them)",
            ) from error
        for p in model.parameters():
            p.grad = None
        if optimizer is None:
            trainable = [p for p in model.parameters() if p.requires_grad] or list(model.parameters())
            optimizer = torch.optim.Adam(trainable, lr=DEFAULT_RATE)
        return cls(model, optimizer)

    @property
    def rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])


def scale_rate(twin: Twin, factor: float) -> Twin:
    """Learning rate times ``factor`` in every group; a rate of zero becomes the initial or default one."""
    for group in twin.optimizer.param_groups:
        rate = float(group["lr"]) or float(group.get("initial_lr") or DEFAULT_RATE) / factor
        # A tensor rate (capturable optimizers) stays one.
        group["lr"] = (
            torch.full_like(group["lr"], rate * factor)
            if isinstance(group["lr"], Tensor)
            else (rate * factor)
        )
    return twin


def enlarge_batch(twin: Twin, times: int) -> Twin:
    """So many times the examples in each step."""
    return replace(twin, larger_batch=times)


def place_at(twin: Twin, objective: Objective, theta: Any) -> Twin:
    """Put the copy at another point, with a fresh optimizer state."""
    parts = objective.layout.split(objective.layout.check(theta))
    named = dict(twin.model.named_parameters())
    with torch.no_grad():
        for name, part in parts.items():
            named[name].copy_(part)
    twin.optimizer.state.clear()
    return twin


def can_start_afresh(model: nn.Module) -> bool:
    """Do the modules' own ``reset_parameters`` cover nearly all trainable parameters?"""
    covered = {
        id(p)
        for m in model.modules()
        if callable(getattr(m, "reset_parameters", None))
        for p in m.parameters(recurse=False)
    } | {id(p) for m in model.modules() if isinstance(m, nn.MultiheadAttention) for p in m.parameters()}
    trainable = [p for p in model.parameters() if p.requires_grad]
    total = sum(p.numel() for p in trainable)
    return total > 0 and sum(p.numel() for p in trainable if id(p) in covered) >= 0.95 * total


def start_afresh(twin: Twin, seed: int) -> Twin:
    """The modules' default initialization, statistics and optimizer state as at the start."""
    torch.manual_seed(seed)
    frozen = {id(p): p.detach().clone() for p in twin.model.parameters() if not p.requires_grad}
    for module in twin.model.modules():
        reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
        if callable(reset):
            reset()
    with torch.no_grad():
        for p in twin.model.parameters():
            if id(p) in frozen:
                p.copy_(frozen[id(p)])
    twin.optimizer.state.clear()
    return twin


def switch_to_adam(twin: Twin, rate: float) -> Twin:
    """Adam with a fresh state in place of the optimizer."""
    trainable = [p for p in twin.model.parameters() if p.requires_grad]
    return replace(twin, optimizer=torch.optim.Adam(trainable, lr=rate))


def thaw(twin: Twin) -> Twin:
    """Every floating parameter trainable and known to the optimizer, at its first group's settings."""
    known = {id(p) for group in twin.optimizer.param_groups for p in group["params"]}
    missing = []
    for p in twin.model.parameters():
        if p.is_floating_point():
            p.requires_grad_(True)
            if id(p) not in known:
                missing.append(p)
    if missing:
        settings = {k: v for k, v in twin.optimizer.param_groups[0].items() if k != "params"}
        twin.optimizer.add_param_group({**settings, "params": missing})
    return twin
