"""Hooks that keep the books while the user's step runs; all of them go when it is over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from diagkit.diagnosis.own_step.books import Forward, Rounding, Update
from diagkit.diagnosis.own_step.replay import enter, exact_update
from diagkit.diagnosis.own_step.snapshot import Snapshot

REPLAYS = 4  # updates that are computed a second time


def norm(tensor: Tensor | None) -> float:
    """Euclidean norm in float64; 0 for no tensor."""
    if tensor is None:
        return 0.0
    values = tensor.detach().coalesce().values() if tensor.is_sparse else tensor.detach()
    return float(values.double().norm())


def minds_mode(module: nn.Module) -> bool:
    """Does it matter to this layer whether it is in training mode? (Dropout, running statistics.)"""
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return module.p > 0
    if isinstance(module, nn.modules.batchnorm._NormBase):
        return module.track_running_stats
    # Elsewhere "dropout" is a layer of its own.
    return isinstance(module, (nn.RNNBase, nn.MultiheadAttention)) and float(module.dropout) > 0


class Observer:
    """Keeps the books of the tensors of a model and of every optimizer that steps."""

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer | None) -> None:
        self.model = model
        self.names = {id(p): name for name, p in model.named_parameters()}
        held = [p for g in optimizer.param_groups for p in g["params"]] if optimizer is not None else []
        foreign = [p for p in held if id(p) not in self.names]
        self.foreign = {id(p): f"tensor {i} of the optimizer" for i, p in enumerate(foreign)}
        self.tensors = [*model.parameters(), *foreign]
        self.call = 0
        self.snapshot: Snapshot | None = None  # takes in optimizers that are seen first when they step
        self.updates: list[Update] = []
        self.forwards: list[Forward] = []
        self.rounding: dict[str, Rounding] = {}
        self.received: set[str] = set()  # tensors of the model that a gradient came to
        self._after: dict[int, float] = {}  # since the last update
        self._carried: dict[int, bool] = {}
        self._open: list[tuple[Update, dict[int, Tensor], dict[int, Tensor] | None]] = []
        self._muted = False

    def name(self, tensor: Tensor) -> str:
        known = self.names.get(id(tensor))
        return known or self.foreign.setdefault(id(tensor), f"tensor {len(self.foreign)} of the optimizer")

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hooks on the model's tensors, its modules, and all optimizers, while inside."""
        with ExitStack() as stack:
            stack.callback(register_optimizer_step_pre_hook(self._before_update).remove)
            stack.callback(register_optimizer_step_post_hook(self._after_update).remove)
            for p in self.tensors:
                if p.requires_grad and p.is_leaf:
                    stack.callback(p.register_hook(self._before_accumulation(p)).remove)
                    stack.callback(p.register_post_accumulate_grad_hook(self._accumulated).remove)
            for name, module in self.model.named_modules():
                if not name or minds_mode(module):
                    stack.callback(module.register_forward_pre_hook(self._on_forward(name)).remove)
            yield

    def _before_accumulation(self, p: Tensor) -> Any:
        def hook(_grad: Tensor) -> None:
            if self._carried.get(id(p)) and norm(p.grad) == 0:
                self._carried[id(p)] = False

        return hook

    def _accumulated(self, p: Tensor) -> None:
        self._after[id(p)] = norm(p.grad)
        if self._after[id(p)] > 0 and id(p) in self.names:
            self.received.add(self.names[id(p)])

    def _on_forward(self, name: str) -> Any:
        def hook(module: nn.Module, _inputs: Any) -> None:
            if torch.is_grad_enabled():
                self.forwards.append(Forward(self.call, name, module.training))

        return hook

    def _before_update(self, optimizer: torch.optim.Optimizer, args: Any, kwargs: Any) -> None:
        if self._muted:
            return
        if self.snapshot is not None:
            self.snapshot.remember("an optimizer", optimizer)
        held = [p for group in optimizer.param_groups for p in group["params"]]
        closure = kwargs.get("closure") is not None or any(callable(a) for a in args[1:])
        update = Update(
            self.call, max((float(g["lr"]) for g in optimizer.param_groups), default=0.0), closure
        )
        for p in held:
            update.tensors.at_step[self.name(p)] = norm(p.grad)
        exact = None
        if not closure and len(self.updates) < REPLAYS:
            self._muted = True
            try:
                exact = exact_update(optimizer)
            finally:
                self._muted = False
        self._open.append((update, {id(p): p.detach().clone() for p in held}, exact))

    def _after_update(self, optimizer: torch.optim.Optimizer, _args: Any, _kwargs: Any) -> None:
        if self._muted or not self._open:
            return
        update, before, exact = self._open.pop()
        books, along, lengths = update.tensors, 0.0, [0.0, 0.0]
        for p in (p for group in optimizer.param_groups for p in group["params"]):
            name, old = self.name(p), before[id(p)]
            made = p.detach().double() - old.double()
            books.moved[name] = norm(made)
            along -= float((made * old.double()).sum())
            lengths[0] += norm(made) ** 2
            lengths[1] += norm(old) ** 2
            if id(p) in self._after:  # a backward pass since the last update
                books.after_backward[name] = self._after.pop(id(p))
                books.carried[name] = self._carried.get(id(p), False)
            self._carried[id(p)] = norm(p.grad) > 0
            if exact is not None and id(p) in exact:
                enter(self.rounding.setdefault(name, Rounding()), old, p.detach(), exact[id(p)])
        scale = (lengths[0] * lengths[1]) ** 0.5
        update.decay = along / scale if scale else None
        self.updates.append(update)
