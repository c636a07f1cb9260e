r"""Softmax, its logarithm and cross-entropy.

Softmax y: the Jacobian is J = diag(y) - y y^T, so backward is J g, and both parts of its own backward need
J once more: J u towards g, and with t = (J u) (g - <g, y>), t - y sum(t) towards x.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class _SoftmaxGradient(Function):
    @staticmethod
    def forward(ctx: Any, g: Tensor, x: Tensor, y: Tensor, dim: int) -> Tensor:
        centred = g - (g * y).sum(dim, keepdim=True)
        ctx.save_for_backward(y, centred)
        ctx.dim = dim
        return y * centred

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, u: Tensor) -> tuple[Tensor, Tensor, None, None]:
        y, centred = ctx.saved_tensors
        turned = y * (u - (u * y).sum(ctx.dim, keepdim=True))
        t = turned * centred
        return turned, t - y * t.sum(ctx.dim, keepdim=True), None, None


class _Softmax(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int) -> Tensor:
        y = torch.softmax(x, dim)
        ctx.save_for_backward(x, y)
        ctx.dim = dim
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        x, y = ctx.saved_tensors
        return _SoftmaxGradient.apply(g, x, y.detach(), ctx.dim), None


class _LogSoftmaxGradient(Function):
    """g, x -> g - y sum(g), y = softmax(x)."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, x: Tensor, y: Tensor, dim: int) -> Tensor:
        whole = y * g.sum(dim, keepdim=True)
        ctx.save_for_backward(y, whole)
        ctx.dim = dim
        return g - whole

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, u: Tensor) -> tuple[Tensor, Tensor, None, None]:
        y, whole = ctx.saved_tensors
        centred = u - (u * y).sum(ctx.dim, keepdim=True)
        return centred, -whole * centred, None, None


class _LogSoftmax(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dim: int) -> Tensor:
        logarithm = torch.log_softmax(x, dim)
        ctx.save_for_backward(x, logarithm.exp())
        ctx.dim = dim
        return logarithm

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        x, y = ctx.saved_tensors
        return _LogSoftmaxGradient.apply(g, x, y, ctx.dim), None


def softmax(x: Tensor, dim: int | None = None, *rest: Any, dtype: Any = None, **options: Any) -> Any:
    """Of ``F.softmax``, ``torch.softmax`` and the method, along a given axis, in the tensor's own dtype."""
    if dim is None or dtype not in (None, x.dtype) or any(r not in (None, 3) for r in rest):
        return NotImplemented
    return _Softmax.apply(x, dim)


def log_softmax(x: Tensor, dim: int | None = None, *rest: Any, dtype: Any = None, **options: Any) -> Any:
    """As :func:`softmax`."""
    if dim is None or dtype not in (None, x.dtype) or any(r not in (None, 3) for r in rest):
        return NotImplemented
    return _LogSoftmax.apply(x, dim)


def cross_entropy(
    x: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """Of class indices; probabilities as targets and smoothed labels stay with torch."""
    if target.is_floating_point() or label_smoothing or size_average is not None or reduce is not None:
        return NotImplemented
    dim = 1 if x.ndim > 1 else 0
    logarithm = _LogSoftmax.apply(x, dim)
    return F.nll_loss(logarithm, target, weight, ignore_index=ignore_index, reduction=reduction)
