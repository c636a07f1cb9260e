"""Layers whose second derivative is cheap to ask for again and again.

A product with the Hessian runs backward through the graph of the gradient. PyTorch's own formulas for that
recompute at every product what does not depend on the vector (phi(x) of a GELU), hand on zeros as large as a
layer (ReLU), and its double backward of a convolution takes detours. The kernels here compute such constants
once, when the graph is built, and keep them in it. They are exact: same function, same derivatives, to
rounding.

:class:`CheapSecondDerivatives` puts them in the place of the functions of the same name while it is active.
They are a matter of speed alone: what they do not cover (options, dtypes, third derivatives) stays torch's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from diagkit.objective.kernels import convolution, cross_entropy, piecewise, pointwise

Kernel = Callable[..., Any]

# torch's function -> ours, of the same arguments; NotImplemented where it does not cover the case
TABLE: dict[Callable[..., Any], Kernel] = {
    torch.conv1d: convolution.convolution(1),
    torch.conv2d: convolution.convolution(2),
    torch.conv3d: convolution.convolution(3),
    F.log_softmax: cross_entropy.log_softmax,
    torch.log_softmax: cross_entropy.log_softmax,
    Tensor.log_softmax: cross_entropy.log_softmax,
    F.cross_entropy: cross_entropy.cross_entropy,
    F.relu: piecewise.relu,
    torch.relu: piecewise.relu,
    Tensor.relu: piecewise.relu,
    F.max_pool2d: piecewise.max_pool2d,
    torch.max_pool2d: piecewise.max_pool2d,
    torch.tanh: pointwise.tanh,
    Tensor.tanh: pointwise.tanh,
    torch.sigmoid: pointwise.sigmoid,
    Tensor.sigmoid: pointwise.sigmoid,
    F.gelu: pointwise.gelu,
    F.silu: pointwise.silu,
}
PLAIN = (Tensor, nn.Parameter)
DTYPES = (torch.float32, torch.float64)


class CheapSecondDerivatives(TorchFunctionMode):
    """While active, functions in :data:`TABLE` are computed by the kernels.

    Example
    -------
    >>> x = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    >>> with CheapSecondDerivatives():
    ...     (slope,) = torch.autograd.grad(torch.tanh(x).sum(), x, create_graph=True)
    >>> (curvature,) = torch.autograd.grad(slope, x)
    >>> bool((curvature + 2 * x.tanh() * (1 - x.tanh() ** 2)).abs() < 1e-15)
    True
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        _types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kernel, kwargs = TABLE.get(func), kwargs or {}
        if kernel is not None and _covers([*args, *kwargs.values()]):
            answer = kernel(*args, **kwargs)
            if answer is not NotImplemented:
                return answer
        return func(*args, **kwargs)


def _covers(args: Sequence[Any]) -> bool:
    """Tensors of real, full precision, of no subclass, of which something is differentiated."""
    tensors = [a for a in args if isinstance(a, Tensor)]
    return (
        torch.is_grad_enabled()
        and any(t.requires_grad for t in tensors)
        and all(type(t) in PLAIN and (not t.is_floating_point() or t.dtype in DTYPES) for t in tensors)
        and tensors[0].dtype in DTYPES
        and not torch.is_autocast_enabled(tensors[0].device.type)
    )
