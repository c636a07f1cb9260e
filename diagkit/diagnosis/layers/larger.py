"""A larger twin of a network: all hidden widths multiplied, or a hidden layer where there is none."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, cast

from torch import Tensor, nn

WIDER = 4
FEWEST = 16  # units of a hidden layer that is put in, and of the narrowest one after widening
NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)
# Attributes that hold a width: on the side of the input, of the output.
WIDTHS: tuple[tuple[type[nn.Module], str, str], ...] = (
    (nn.Linear, "in_features", "out_features"),
    (nn.modules.conv._ConvNd, "in_channels", "out_channels"),
    (nn.modules.batchnorm._BatchNorm, "num_features", ""),
    (nn.GroupNorm, "num_channels", ""),
    (nn.LayerNorm, "normalized_shape", ""),
    (nn.Embedding, "", "embedding_dim"),
    (nn.RNNBase, "input_size", "hidden_size"),
)


def larger_twin(model: nn.Module, forward: Callable[[nn.Module], Any], times: int = 0) -> nn.Module | None:
    """A fresh copy with hidden widths times ``times`` (4, or what makes the narrowest 16 units).

    Widths of the first layer's input and of the last one's output stay, in the order of execution; a model
    with a single weight layer gets a hidden one of ReLU units in front of it. None where that cannot be done:
    layers of other kinds with weights, a width written into the model's own code. ``forward(model)`` runs a
    batch and returns the output; it must work on the copy.

    Example
    -------
    >>> import torch
    >>> net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    >>> X = torch.zeros(5, 2)
    >>> [tuple(p.shape) for p in larger_twin(net, lambda m: m(X), 4).parameters()]
    [(12, 2), (12,), (1, 12), (1,)]
    >>> larger_twin(net[0], lambda m: m(X))
    Sequential(
      (0): Linear(in_features=2, out_features=16, bias=True)
      (1): ReLU()
      (2): Linear(in_features=16, out_features=3, bias=True)
    )
    """
    other = copy.deepcopy(model)
    try:
        before = _shape(forward(other))
        order = _execution(other, forward)
        weights = [name for name in order if not isinstance(other.get_submodule(name), NORMS)]
        known = {id(p) for name in order for p in other.get_submodule(name).parameters()}
        if not weights or any(id(p) not in known for p in other.parameters()):
            return None
        if len(weights) == 1:
            layer = other.get_submodule(weights[0])
            if not isinstance(layer, nn.Linear):
                return None
            other = _put(other, weights[0], _with_hidden(layer))
        else:
            hidden = [
                int(getattr(other.get_submodule(n), _widths(other.get_submodule(n))[1])) for n in weights[:-1]
            ]
            times = times or max(WIDER, -(-FEWEST // min(hidden)))
            for name in order:
                into = 1 if name == weights[0] else times
                out = 1 if name == weights[-1] else times
                other = _put(other, name, _widened(other.get_submodule(name), into, out))
        return other if _shape(forward(other)) == before else None
    except (RuntimeError, TypeError, ValueError, AttributeError, IndexError, KeyError, AssertionError):
        return None  # the code of the model knows its widths


def _shape(output: Any) -> Any:
    return output.shape if isinstance(output, Tensor) else None


def _widths(module: nn.Module) -> tuple[str, str]:
    return next((into, out) for kind, into, out in WIDTHS if isinstance(module, kind))


KINDS = tuple(kind for kind, _, _ in WIDTHS)


def _execution(model: nn.Module, forward: Callable[[nn.Module], Any]) -> list[str]:
    """Layers with widths, in the order in which a forward pass comes to them."""
    order: list[str] = []

    def hook(name: str) -> Any:
        return lambda _module, _inputs: order.append(name)

    handles = [
        module.register_forward_pre_hook(hook(name))
        for name, module in model.named_modules()
        if isinstance(module, KINDS)
    ]
    try:
        forward(model)
    finally:
        for handle in handles:
            handle.remove()
    return list(dict.fromkeys(order))


def _widened(module: nn.Module, into: int, out: int) -> nn.Module:
    """The same kind of module with other widths, initialized by itself."""
    if isinstance(module, nn.RNNBase):
        return _recurrent(module, into, out)
    before, after = _widths(module)
    if isinstance(module, nn.LayerNorm):
        module.normalized_shape = (*module.normalized_shape[:-1], module.normalized_shape[-1] * into)
    elif before:
        setattr(module, before, getattr(module, before) * into)
    if after:
        setattr(module, after, getattr(module, after) * out)
    if isinstance(module, NORMS):
        factors: dict[int, tuple[int, ...]] = {1: (into,)}
    elif isinstance(module, nn.modules.conv._ConvTransposeNd):
        factors = {1: (out,), 2: (into, out)}
    else:
        factors = {1: (out,), 2: (1, out) if isinstance(module, nn.Embedding) else (out, into)}
    tables: tuple[dict[str, Any], ...] = (module._parameters, module._buffers)
    for table in tables:
        for name, tensor in table.items():
            if tensor is not None and tensor.ndim:
                scale = factors[min(tensor.ndim, max(factors))]
                shape = [size * factor for size, factor in zip(tensor.shape, scale, strict=False)]
                new = tensor.new_empty((*shape, *tensor.shape[len(shape) :]))
                table[name] = nn.Parameter(new) if isinstance(tensor, nn.Parameter) else new
    module.reset_parameters()  # type: ignore[operator]
    return module


def _recurrent(module: nn.RNNBase, into: int, out: int) -> nn.RNNBase:
    if getattr(module, "proj_size", 0):
        raise TypeError("projections keep a width of their own")
    place: dict[str, Any] = {"device": module.weight_ih_l0.device, "dtype": module.weight_ih_l0.dtype}
    options = {name: getattr(module, name) for name in ("bias", "batch_first", "dropout", "bidirectional")}
    widths = module.input_size * into, module.hidden_size * out, module.num_layers
    make: Any = type(module)
    return cast(nn.RNNBase, make(*widths, **options, **place))


def _with_hidden(layer: nn.Linear) -> nn.Sequential:
    place: dict[str, Any] = {"device": layer.weight.device, "dtype": layer.weight.dtype}
    width = max(FEWEST, WIDER * layer.out_features)
    return nn.Sequential(
        nn.Linear(layer.in_features, width, **place),
        nn.ReLU(),
        nn.Linear(width, layer.out_features, bias=layer.bias is not None, **place),
    )


def _put(model: nn.Module, name: str, module: nn.Module) -> nn.Module:
    """Replace a layer; the model itself where the name is empty."""
    if not name:
        return module
    parent, _, key = name.rpartition(".")
    setattr(model.get_submodule(parent), key, module)
    return model
