r"""Layer normalization, and batch normalization by running statistics.

Layer norm h = r (x - mean x), r = 1/sqrt(var x + eps), over D entries. Backward is r P g with the projector
P g = g - mean g - h mean(g h). Its own backward, for u: r P u towards g, and towards x

    -r (h mean(u r P g) + mean(u h) r P g + mean(g h) r P u).

With eps > 0 the entries of h have a variance below 1, so that P P is not quite P.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class _StandardizeGradient(Function):
    @staticmethod
    def forward(ctx: Any, g: Tensor, x: Tensor, h: Tensor, r: Tensor) -> Tensor:
        along = (g * h).mean(-1, keepdim=True)
        answer = (g - g.mean(-1, keepdim=True)).sub_(h * along).mul_(r)
        ctx.save_for_backward(h, r, answer, along)
        return answer

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, u: Tensor) -> tuple[Tensor, Tensor, None, None]:
        h, r, projected, along = ctx.saved_tensors  # projected = r P g
        u_along = (u * h).mean(-1, keepdim=True)
        turned = (u - u.mean(-1, keepdim=True)).sub_(h * u_along).mul_(r)
        both = (u * projected).mean(-1, keepdim=True) * r
        towards_x = (h * both).add_(projected * (u_along * r)).add_(turned * (along * r)).neg_()
        return turned, towards_x, None, None


class _Standardize(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, eps: float) -> Tensor:
        variance, mean = torch.var_mean(x, -1, correction=0, keepdim=True)
        r = (variance + eps).rsqrt()
        h = (x - mean).mul_(r)
        ctx.save_for_backward(x, h, r)
        return h

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        x, h, r = ctx.saved_tensors
        return _StandardizeGradient.apply(g, x, h.detach(), r), None


def layer_norm(
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Any:
    """h * weight + bias, over the last axes."""
    if not x.numel():
        return NotImplemented
    h = _Standardize.apply(x.flatten(-len(normalized_shape)), eps).view(x.shape)
    if weight is not None:
        h = h * weight
    return h if bias is None else h + bias


def batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Running statistics make it an affine map of each channel; batch statistics stay with torch."""
    if training or running_mean is None or running_var is None or running_mean.dtype != x.dtype:
        return NotImplemented
    scale = (running_var + eps).rsqrt()
    if weight is not None:
        scale = scale * weight
    shift = -running_mean * scale if bias is None else bias - running_mean * scale
    shape = (1, -1, *[1] * (x.ndim - 2))
    return torch.addcmul(shift.view(shape), x, scale.view(shape))
