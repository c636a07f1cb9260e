"""Shapes that meet in a loss, or in a difference, and do not agree."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

DIFFERENCES = {"sub", "rsub", "subtract", "__sub__", "__rsub__"}
LOSSES = {
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "poisson_nll_loss",
}
Pair = tuple[str, tuple[int, ...], tuple[int, ...]]


def pairing_is_lost(a: Tensor, b: Tensor) -> bool:
    """As many entries on both sides, more in the result: each met all others, as (n, 1) and (n,) do.

    One side must carry gradients and the other not: differences between predictions are all-pairs by design.
    """
    if a.shape == b.shape or a.numel() != b.numel() or a.requires_grad == b.requires_grad:
        return False
    try:
        return torch.broadcast_shapes(a.shape, b.shape).numel() > a.numel()
    except RuntimeError:
        return False


class LostPairs(TorchFunctionMode):
    """While active, notes every loss function and difference in which the pairing is lost.

    Example
    -------
    >>> prediction, target = torch.zeros(3, 1, requires_grad=True), torch.zeros(3)
    >>> with LostPairs() as met:
    ...     _ = ((prediction - target) ** 2).mean()
    >>> met.found
    [('sub', (3, 1), (3,))]
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Pair] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in DIFFERENCES or name in LOSSES:
            sides = [x for x in (*args, *(kwargs or {}).values()) if isinstance(x, Tensor)][:2]
            if len(sides) == 2 and pairing_is_lost(*sides):
                pair = (name.strip("_"), tuple(sides[0].shape), tuple(sides[1].shape))
                if pair not in self.found:
                    self.found.append(pair)
        return func(*args, **(kwargs or {}))
