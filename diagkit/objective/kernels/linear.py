r"""z = x W^T + b, with sums of products taken inside the matrix product.

Backward: g W, g^T x, sum_n g. Its own backward, for (u_x, u_W, u_b): u_x W^T + x u_W^T + u_b towards g,
g u_W towards x, g^T u_x towards W: four products, and no sum that needs a pass of its own.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class _LinearGradient(Function):
    """g [M, O], x [M, I], W [O, I] -> those of (g W, g^T x, sum g) that are ``wanted``."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, x: Tensor, w: Tensor, wanted: tuple[bool, bool, bool]) -> Any:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(g, x, w)
        return (
            g @ w if wanted[0] else None,
            g.T @ x if wanted[1] else None,
            g.sum(0) if wanted[2] else None,
        )

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, ux: Tensor | None, uw: Tensor | None, ub: Tensor | None) -> Any:
        g, x, w = ctx.saved_tensors
        towards_g = None if ub is None else ub.expand_as(g)
        if uw is not None:
            towards_g = x @ uw.T if towards_g is None else torch.addmm(towards_g, x, uw.T)
        if ux is not None:
            towards_g = ux @ w.T if towards_g is None else torch.addmm(towards_g, ux, w.T)
        needs = ctx.needs_input_grad
        towards_x = g @ uw if needs[1] and uw is not None else None
        towards_w = g.T @ ux if needs[2] and ux is not None else None
        return towards_g, towards_x, towards_w, None


class _Linear(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, w)
        return x @ w.T if b is None else torch.addmm(b, x, w.T)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        x, w = ctx.saved_tensors
        return _LinearGradient.apply(g, x, w, tuple(ctx.needs_input_grad))


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
    """For inputs [..., I] of at least one example and weights [O, I]."""
    if x.ndim < 2 or weight.ndim != 2 or not x.numel():
        return NotImplemented
    z = _Linear.apply(x.reshape(-1, x.shape[-1]), weight, bias)
    return z.view(*x.shape[:-1], weight.shape[0])
