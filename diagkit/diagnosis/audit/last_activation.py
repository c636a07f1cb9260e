"""What stands between the last layer with parameters and the output of the model, told from their values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from diagkit.diagnosis.audit.probe import Probe, main_tensor, probe
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.trial import Arm
from diagkit.diagnosis.twin import Twin, start_afresh

Function = Callable[[Tensor], Tensor]
# name -> the function, and the range of its values
KNOWN: dict[str, tuple[Function, float, float]] = {
    "ReLU": (torch.relu, 0.0, float("inf")),
    "sigmoid": (torch.sigmoid, 0.0, 1.0),
    "tanh": (torch.tanh, -1.0, 1.0),
    "softmax": (lambda x: torch.softmax(x, -1), 0.0, 1.0),
}


@dataclass(frozen=True)
class LastActivation:
    """``output = kind(layer(...))``, for each of the examples looked at.

    low, high : the range that no output leaves. before : what goes into the activation.
    """

    kind: str
    layer: str
    low: float
    high: float
    before: Tensor
    output: Tensor

    @property
    def is_constant(self) -> bool:
        """A softmax over one unit is 1 whatever goes in."""
        return self.kind == "softmax" and self.output.shape[-1] == 1


@dataclass(frozen=True)
class LastLayer:
    """The last layer with parameters that ran: its name, what it gave and what the model made of it."""

    name: str
    before: Tensor
    output: Tensor


def last_layer(found: Probe) -> LastLayer | None:
    """None where the last layer gives another number of values than the model."""
    layers: list[tuple[str, Tensor]] = []

    def watch(name: str) -> Any:
        def look(_module: nn.Module, _args: Any, output: Any) -> None:
            tensor = main_tensor(output)
            if tensor is not None:
                layers.append((name, tensor.detach()))

        return look

    handles = [
        module.register_forward_hook(watch(name))
        for name, module in found.model.named_modules()
        if any(True for _ in module.parameters(recurse=False)) and module is not found.model
    ]
    try:
        output = found.see(found.batches[0]).output
    finally:
        for handle in handles:
            handle.remove()
    fitting = [(name, t) for name, t in layers if output is not None and t.numel() == output.numel()]
    if output is None or not fitting or fitting[-1][0] != layers[-1][0]:
        return None
    name, before = fitting[-1]
    return LastLayer(name, before.reshape(output.shape), output.detach())


def find_last_activation(found: Probe) -> LastActivation | None:
    """Compare the output with functions of what the last layer with parameters gave; None if none fits."""
    last = last_layer(found)
    if last is None or torch.equal(last.before, last.output):
        return None
    name, before, after = last.name, last.before, last.output
    for kind, (function, low, high) in KNOWN.items():
        if torch.allclose(function(before), after, rtol=1e-4, atol=1e-6):
            return LastActivation(kind, name, low, high, before, after)
    return None


def last_activation(case: Case) -> LastActivation | None:
    """Of the model of a case, on its first batch."""

    def make() -> LastActivation | None:
        found = probe(case)
        if found is None:
            return None
        with found.quiet():
            return find_last_activation(found)

    return case.once("last activation", make)


def bypass(twin: Twin, layer: str) -> Twin:
    """The copy gives what its last layer gave, without the activation after it."""
    held: list[Tensor] = []

    def keep(_module: nn.Module, _args: Any, output: Any) -> None:
        held[:] = [t for t in (main_tensor(output),) if t is not None]

    twin.model.get_submodule(layer).register_forward_hook(keep)
    twin.model.register_forward_hook(lambda _module, _args, output: held[0].reshape(output.shape))
    return twin


def without_activation(layer: str) -> Arm:
    """From this checkpoint, the last activation taken away."""
    words = "without the last activation"
    return Arm(words, words, lambda twin, seed: bypass(twin, layer))


def fresh_without_activation(layer: str) -> Arm:
    """From a fresh initialization, the last activation taken away."""
    words = "freshly initialized, without the last activation"
    return Arm(words, words, lambda twin, seed: bypass(start_afresh(twin, seed), layer))
