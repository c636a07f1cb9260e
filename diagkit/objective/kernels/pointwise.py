r"""y = f(x), element by element, with f'(x) and f''(x) kept.

Backward: g f'(x). Its own backward, for a vector u: u f'(x) towards g and u (g f''(x)) towards x; g f''(x)
is kept as well, so that a product costs two multiplications.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


class _Slope(Function):
    """g, x -> g f'(x)."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, x: Tensor, first: Tensor, second: Tensor) -> Tensor:
        ctx.save_for_backward(first, g * second)
        return g * first

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, u: Tensor) -> tuple[Tensor, Tensor, None, None]:
        first, curved = ctx.saved_tensors
        return u * first, u * curved, None, None


class _Pointwise(Function):
    """x -> y, given y, f'(x) and f''(x)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, first: Tensor, second: Tensor) -> Tensor:
        ctx.save_for_backward(x, first, second)
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None, None, None]:
        x, first, second = ctx.saved_tensors
        return _Slope.apply(g, x, first, second), None, None, None


def _apply(x: Tensor, y: Tensor, first: Tensor, second: Tensor) -> Tensor:
    return _Pointwise.apply(x, y, first, second)


def tanh(x: Tensor, **options: Any) -> Any:
    """y = tanh x, y' = 1 - y^2, y'' = -2 y y'."""
    if options:  # out=
        return NotImplemented
    y = x.detach().tanh()
    first = 1 - y * y
    return _apply(x, y, first, -2 * y * first)


def sigmoid(x: Tensor, **options: Any) -> Any:
    """y = 1 / (1 + exp(-x)), y' = y (1 - y), y'' = y' (1 - 2 y)."""
    if options:
        return NotImplemented
    y = x.detach().sigmoid()
    first = y * (1 - y)
    return _apply(x, y, first, first * (1 - 2 * y))


def gelu(x: Tensor, approximate: str = "none") -> Any:
    """y = x Phi(x), y' = Phi + x phi, y'' = phi (2 - x^2), with the normal distribution Phi, density phi."""
    if approximate == "tanh":
        return gelu_by_tanh(x)
    z = x.detach()
    below = 0.5 * (1 + torch.erf(z / math.sqrt(2)))
    density = torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return _apply(x, z * below, below + z * density, density * (2 - z * z))


def gelu_by_tanh(x: Tensor) -> Tensor:
    """y = x (1 + t) / 2, t = tanh w, w = sqrt(2 / pi) (x + 0.044715 x^3), for which t' = (1 - t^2) w'."""
    z = x.detach()
    cubic, factor = 0.044715, math.sqrt(2 / math.pi)
    t = torch.tanh(factor * (z + cubic * z**3))
    slope = factor * (1 + 3 * cubic * z * z)  # w'
    first = (1 - t * t) * slope  # t'
    second = (1 - t * t) * (6 * factor * cubic) * z - 2 * t * first * slope  # t''
    return _apply(x, 0.5 * z * (1 + t), 0.5 * (1 + t + z * first), first + 0.5 * z * second)


def silu(x: Tensor, inplace: bool = False) -> Any:
    """y = x s with the logistic s; y' = s (1 + x (1 - s)), y'' = s (1 - s) (2 + x (1 - 2 s))."""
    if inplace:
        return NotImplemented
    z = x.detach()
    s = z.sigmoid()
    return _apply(x, z * s, s * (1 + z * (1 - s)), s * (1 - s) * (2 + z * (1 - 2 * s)))
