r"""The logarithm of softmax, and cross-entropy.

With y = softmax(x), backward is g - y sum(g). Its own backward, for a vector u: c = u - <u, y> towards g, and
-y sum(g) c towards x; y sum(g) is kept.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


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


def log_softmax(x: Tensor, dim: int | None = None, *rest: Any, dtype: Any = None, **options: Any) -> Any:
    """Along a given axis, in the tensor's own dtype."""
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
    if weight is None and reduction == "mean" and not bool((target == ignore_index).any()):
        # Linear in the logarithm, and known to be so: nll_loss hands zeros on, as large as the logits.
        return -logarithm.gather(dim, target.unsqueeze(dim)).mean()
    return F.nll_loss(logarithm, target, weight, ignore_index=ignore_index, reduction=reduction)
