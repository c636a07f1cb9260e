"""Piecewise linear layers: ReLU and max pooling.

Their second derivative is zero wherever it exists. Torch's own formulas hand zeros on, as large as the layer,
and everything below then works on them; here nothing is handed on.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class _ReluGradient(Function):
    @staticmethod
    def forward(ctx: Any, g: Tensor, y: Tensor) -> Tensor:
        ctx.save_for_backward(y)
        return torch.ops.aten.threshold_backward(g, y, 0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, u: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        return torch.ops.aten.threshold_backward(u, y, 0), None


class _Relu(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = torch.relu(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return _ReluGradient.apply(g, y.detach())


def relu(x: Tensor, inplace: bool = False) -> Any:
    """Out of place; a layer that overwrites its input stays with torch."""
    return NotImplemented if inplace else _Relu.apply(x)


class _MaxPoolGradient(Function):
    """g -> each entry to the place of its maximum."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, x: Tensor, places: Tensor, window: tuple[Any, ...]) -> Tensor:
        ctx.save_for_backward(places)
        return torch.ops.aten.max_pool2d_with_indices_backward(g, x, *window, places)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, u: Tensor) -> tuple[Tensor, None, None, None]:
        (places,) = ctx.saved_tensors
        return u.flatten(-2).gather(-1, places.flatten(-2)).view(places.shape), None, None, None


class _MaxPool(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, window: tuple[Any, ...]) -> Tensor:
        y, places = torch.ops.aten.max_pool2d_with_indices(x, *window)
        ctx.save_for_backward(x, places)
        ctx.window = window
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        x, places = ctx.saved_tensors
        return _MaxPoolGradient.apply(g, x.detach(), places, ctx.window), None


def max_pool2d(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Of images [N, C, H, W] or [C, H, W]."""
    if return_indices or not x.numel():
        return NotImplemented

    def both(value: Any) -> list[int]:
        return [int(v) for v in value] if isinstance(value, (tuple, list)) else [int(value)] * 2

    size = both(kernel_size)
    window = (size, size if stride is None else both(stride), both(padding), both(dilation), ceil_mode)
    return _MaxPool.apply(x, window)
