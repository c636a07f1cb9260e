"""Weights scaled layer by layer until each puts out mean 0 and variance 1 for a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from diagkit.measure.activation_records import WEIGHT_LAYERS

LEAST = 1e-12  # variance below which there is nothing to scale


def to_unit_variance(model: nn.Module, forward: Callable[[], object]) -> list[str]:
    r"""Orthogonal weights W, then W <- W / s and b <- (b - m) / s in each layer, in the order of execution.

    m and s are mean and standard deviation of the layer's output over batch and units, with the layers before
    it scaled already; the last layer keeps its default initialization, since its scale is that of the loss.
    Keeps signals, and about that the gradients, at one scale through the depth (Mishkin and Matas 2016,
    arXiv:1511.06422). One forward pass: a hook scales the output that it hands on.

    Returns the names of the layers that were scaled, in order. ``forward()`` runs the model on a batch.

    Example
    -------
    >>> net = nn.Sequential(*[nn.Linear(8, 8) for _ in range(4)])
    >>> for p in net.parameters():
    ...     _ = p.data.mul_(0.01)
    >>> X = 100 * torch.randn(64, 8, generator=torch.manual_seed(0))
    >>> to_unit_variance(net, lambda: net(X))
    ['0', '1', '2']
    >>> with torch.no_grad():
    ...     h = net[:3](X)
    >>> bool(h.mean().abs() < 1e-5), round(float(h.std()), 5)
    (True, 1.0)
    """
    order: list[str] = []
    with torch.no_grad():
        _listen(model, forward, lambda name, module, output: order.append(name))
        hidden = list(dict.fromkeys(order))[:-1]
        for name in hidden:
            nn.init.orthogonal_(model.get_submodule(name).weight)  # type: ignore[arg-type]
        seen: set[str] = set()

        def scale(name: str, module: Any, output: Tensor) -> Tensor | None:
            if name not in hidden or name in seen:
                return None
            seen.add(name)
            deviation = output.double().std()
            if not bool(deviation**2 > LEAST):
                return None
            if module.bias is None:
                module.weight.div_(deviation.to(module.weight.dtype))
                return output / deviation.to(output.dtype)
            mean = output.mean()
            module.weight.div_(deviation.to(module.weight.dtype))
            module.bias.copy_((module.bias - mean) / deviation.to(module.bias.dtype))
            return (output - mean) / deviation.to(output.dtype)

        _listen(model, forward, scale)
    return hidden


def tanh_for_sigmoid(model: nn.Module, forward: Callable[[], object]) -> list[str]:
    """Replace the sigmoids between weight layers; those behind the last one, and gates in functions, stay.

    Tanh is 4 times as steep, and its outputs have mean 0. Returns their names.

    Example
    -------
    >>> net = nn.Sequential(nn.Linear(2, 2), nn.Sigmoid(), nn.Linear(2, 1), nn.Sigmoid())
    >>> tanh_for_sigmoid(net, lambda: net(torch.zeros(3, 2))), net[1], net[3]
    (['1'], Tanh(), Sigmoid())
    """
    order: list[str] = []
    with torch.no_grad():
        _listen(model, forward, lambda name, module, output: order.append(name), (*WEIGHT_LAYERS, nn.Sigmoid))
    modules = dict(model.named_modules())
    last = max((i for i, name in enumerate(order) if not isinstance(modules[name], nn.Sigmoid)), default=0)
    hidden = [name for name in dict.fromkeys(order[:last]) if isinstance(modules[name], nn.Sigmoid)]
    for name in hidden:
        parent, _, key = name.rpartition(".")
        setattr(model.get_submodule(parent), key, nn.Tanh())
    return hidden


def _listen(
    model: nn.Module,
    forward: Callable[[], object],
    hear: Callable[[str, nn.Module, Tensor], Tensor | None],
    kinds: tuple[type[nn.Module], ...] = WEIGHT_LAYERS,
) -> None:
    """One forward pass in evaluation mode with a hook on each layer of these kinds."""

    def hook(name: str) -> Any:
        return lambda module, _inputs, output: hear(name, module, output)

    handles = [
        module.register_forward_hook(hook(name))
        for name, module in model.named_modules()
        if isinstance(module, kinds)
    ]
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        forward()
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in modes.items():
            module.training = mode
