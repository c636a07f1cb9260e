r"""z = x * w (cross-correlation), with torch's own fast first-order kernels for the second order.

Backward is (g *^T w, x *^T g). It is bilinear, so its own backward, for (u_x, u_w), consists of the same
kernels: u_x * w + x * u_w towards g, and the backward kernel at input u_x and weight u_w towards x and w.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

Geometry = tuple[list[int], list[int], list[int], bool, list[int], int]


def _forward(x: Tensor, w: Tensor, b: Tensor | None, geometry: Geometry) -> Tensor:
    return torch.convolution(x, w, b, *geometry)


def _backward(g: Tensor, x: Tensor, w: Tensor, geometry: Geometry, wanted: list[bool]) -> list[Any]:
    return torch.ops.aten.convolution_backward(g, x, w, [w.shape[0]], *geometry, wanted)


class _ConvolutionGradient(Function):
    @staticmethod
    def forward(
        ctx: Any, g: Tensor, x: Tensor, w: Tensor, geometry: Geometry, wanted: tuple[bool, bool, bool]
    ) -> Any:
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(g, x, w)
        ctx.geometry = geometry
        gx, gw, _ = _backward(g, x, w, geometry, [wanted[0], wanted[1], False])
        gb = g.sum([0, *range(2, g.ndim)]) if wanted[2] else None
        return gx if wanted[0] else None, gw if wanted[1] else None, gb

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, ux: Tensor | None, uw: Tensor | None, ub: Tensor | None) -> Any:
        g, x, w = ctx.saved_tensors
        towards_g: Tensor | None = None
        if uw is not None:
            towards_g = _forward(x, uw, ub, ctx.geometry)
        elif ub is not None:
            towards_g = ub.view(1, -1, *[1] * (g.ndim - 2)).expand_as(g)
        if ux is not None:
            more = _forward(ux, w, None, ctx.geometry)
            towards_g = more if towards_g is None else more.add_(towards_g)
        towards_x = towards_w = None
        if (ctx.needs_input_grad[1] and uw is not None) or (ctx.needs_input_grad[2] and ux is not None):
            wanted = [uw is not None and ctx.needs_input_grad[1], ux is not None and ctx.needs_input_grad[2]]
            at_x, at_w = x if ux is None else ux, w if uw is None else uw
            found = _backward(g, at_x, at_w, ctx.geometry, [*wanted, False])
            towards_x, towards_w = (f if ask else None for f, ask in zip(found, wanted, strict=False))
        return towards_g, towards_x, towards_w, None, None


class _Convolution(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, b: Tensor | None, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(x, w)
        ctx.geometry = geometry
        return _forward(x, w, b, geometry)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        x, w = ctx.saved_tensors
        return *_ConvolutionGradient.apply(g, x, w, ctx.geometry, tuple(ctx.needs_input_grad[:3])), None


def convolution(dims: int) -> Callable[..., Any]:
    """The kernel of ``torch.conv1d``, ``conv2d`` or ``conv3d``; padding by name stays with torch."""

    def run(
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Any:
        if x.ndim != dims + 2 or isinstance(padding, str) or not x.numel():
            return NotImplemented

        def each(value: Any) -> list[int]:
            values = [int(v) for v in value] if isinstance(value, (tuple, list)) else [int(value)]
            return values * dims if len(values) == 1 else values

        geometry = (each(stride), each(padding), each(dilation), False, [0] * dims, groups)
        return _Convolution.apply(x, weight, bias, geometry)

    return run
