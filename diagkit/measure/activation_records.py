"""Watch what the layers of a model put out, and the gradient that comes back to it, for fixed data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from diagkit.objective import Batch, Objective
from diagkit.objective.products import wide
from diagkit.work import interrupted, progress

WEIGHT_LAYERS = (nn.Linear, nn.modules.conv._ConvNd)


@dataclass
class Record:
    """One layer's outputs h_n [units] and gradients dl_n/dh_n: for each example, averages over the units."""

    name: str
    layer: nn.Module
    num_batches: int = 0
    units: int = 0
    means: list[np.ndarray] = field(default_factory=list)
    squares: list[np.ndarray] = field(default_factory=list)
    zeros: list[np.ndarray] = field(default_factory=list)
    gradient_means: list[np.ndarray] = field(default_factory=list)
    gradient_squares: list[np.ndarray] = field(default_factory=list)
    alive: Tensor | None = None  # [units], not 0 for some example; None where their number varies

    @property
    def is_weight_layer(self) -> bool:
        return isinstance(self.layer, WEIGHT_LAYERS)

    def add(self, h: Tensor) -> None:
        """h [n, units], in a wide dtype."""
        for into, values in ((self.means, h), (self.squares, h**2), (self.zeros, (h == 0).to(h.dtype))):
            into.append(values.mean(1).cpu().numpy())
        alive = (h != 0).any(0)
        same = self.num_batches == 0 or (self.alive is not None and len(self.alive) == len(alive))
        self.alive = (alive if self.alive is None else self.alive | alive) if same else None
        self.units = h.shape[1]
        self.num_batches += 1

    def add_gradient(self, g: Tensor) -> None:
        """g [n, units], in a wide dtype."""
        self.gradient_means.append(g.mean(1).cpu().numpy())
        self.gradient_squares.append((g**2).mean(1).cpu().numpy())


class Watcher:
    """Forward hooks on the layers without children; each call of a layer has a record of its own."""

    def __init__(self, model: nn.Module, anchor: Tensor) -> None:
        self.model, self.anchor = model, anchor
        self.records: dict[tuple[str, int], Record] = {}
        self._size, self._calls, self._forward = 0, dict[str, int](), False

    @contextmanager
    def installed(self) -> Iterator[None]:
        """The hooks are there inside, and gone afterwards."""
        handles = []
        try:
            for name, layer in leaves(self.model):
                handles.append(layer.register_forward_hook(self._hook(name or type(layer).__name__)))
            yield
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def forward(self, size: int) -> Iterator[None]:
        """A forward pass of ``size`` examples; what a checkpointed layer does again later is not heard."""
        self._size, self._calls, self._forward = size, {}, True
        try:
            yield
        finally:
            self._forward = False

    def _hook(self, name: str) -> Any:
        def watch(layer: nn.Module, _: Any, output: Any) -> Any:
            h = output
            if not (self._forward and isinstance(h, Tensor) and h.is_floating_point() and h.numel()):
                return None
            if not h.ndim or h.shape[0] % self._size:
                return None  # no output of the single examples, such as an embedding of positions
            call = self._calls[name] = self._calls.get(name, 0) + 1
            shown = name if call == 1 else f"{name} (call {call})"
            record = self.records.setdefault((name, call), Record(shown, layer))
            record.add(self._rows(h))
            # Nothing to train in front of it: a zero that asks for a gradient lets one come this far.
            changed = None if h.requires_grad else h + self.anchor
            carrier = h if changed is None else changed
            if carrier.requires_grad:  # not under no_grad: no gradient comes back there
                carrier.register_hook(
                    # The loss is a mean over the examples: this is 1 / n of an example's own gradient.
                    lambda g, n=self._size: record.add_gradient(self._rows(g) * n)
                )
            return changed

        return watch

    def _rows(self, t: Tensor) -> Tensor:
        return t.detach().reshape(self._size, -1).to(wide(t.device))


def leaves(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The layers without children; parametrizations of a weight belong to their layer."""
    for name, layer in model.named_modules():
        own = "parametrizations" not in name.split(".")
        if own and not any(child != "parametrizations" for child, _ in layer.named_children()):
            yield name, layer


def watch(obj: Objective) -> tuple[list[Record], bool]:
    """(records in the order of execution, all data were seen)."""
    fixed, size = obj.fixed, len(obj.batches)
    parameters = {n: t.detach().clone().requires_grad_() for n, t in obj.layout.split(obj.theta).items()}
    anchor = torch.zeros((), device=obj.layout.device, dtype=obj.layout.dtype, requires_grad=True)
    watcher, done = Watcher(fixed.model, anchor), 0

    def both_ways(batch: Batch, index: int) -> None:
        with watcher.forward(batch.size):
            loss = fixed.of_batch(parameters, batch, index)
        torch.autograd.grad(loss, [*parameters.values(), anchor], allow_unused=True)

    with fixed.quiet(), watcher.installed(), progress("layers", size) as advance:
        for index, batch in enumerate(obj.batches):
            if done and interrupted():
                break
            fixed.within(parameters, partial(both_ways, batch, index))
            done += 1
            advance(1)
    return [record for record in watcher.records.values() if record.num_batches == done], done == size
