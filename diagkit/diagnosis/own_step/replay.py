"""The same update in more digits, on copies: what storage in few digits has lost of it."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor

from diagkit.diagnosis.own_step.books import Rounding

SINGLE = torch.finfo(torch.float32).eps


def is_narrow(tensor: Tensor) -> bool:
    """Stored in 16 bits or fewer."""
    return tensor.is_floating_point() and tensor.element_size() <= 2


def exact_update(optimizer: torch.optim.Optimizer) -> dict[int, Tensor] | None:
    """id of each tensor -> the update that ``optimizer.step()`` would make, computed in float64.

    None where a copy cannot make it: no copy can be made, or the step needs more than its gradients.

    Example
    -------
    >>> w = torch.ones(1, dtype=torch.bfloat16, requires_grad=True)
    >>> w.grad = torch.ones_like(w)
    >>> float(exact_update(torch.optim.SGD([w], lr=2.0**-12))[id(w)])
    -0.000244140625
    """
    if getattr(optimizer, "grad_scale", None) is not None:  # a fused step that unscales by itself
        return None
    held = [p for group in optimizer.param_groups for p in group["params"]]
    if any(p.grad is not None and p.grad.is_sparse for p in held):
        return None
    memo: dict[int, Any] = {}
    for p in held:
        wide = p.detach().to(torch.float64).requires_grad_()
        wide.grad = None if p.grad is None else p.grad.detach().to(torch.float64)
        memo[id(p)] = wide
    before = {id(p): memo[id(p)].detach().clone() for p in held}
    try:
        twin = copy.deepcopy(optimizer, memo)
        for state in twin.state.values():
            for name, value in state.items():
                if isinstance(value, Tensor) and value.is_floating_point() and value.ndim:
                    state[name] = value.to(torch.float64)
        with torch.no_grad():
            twin.step()
    except (RuntimeError, TypeError, ValueError, AttributeError, KeyError):
        return None
    return {id(p): memo[id(p)].detach() - before[id(p)] for p in held}


def enter(book: Rounding, before: Tensor, after: Tensor, exact: Tensor) -> None:
    """Add one update to the sums of a tensor."""
    made = (after.double() - before.double()).flatten()
    wanted = exact.flatten()
    bearing = wanted.abs() > SINGLE * before.double().abs().flatten()
    book.along += float(made @ wanted)
    book.exact += float(wanted @ wanted)
    book.bearing += int(bearing.sum())
    book.unmoved += int((bearing & (made == 0)).sum())
