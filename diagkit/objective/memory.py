"""How much memory a gradient's graph holds, seen on a few examples before much is at stake."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

# Bytes that Hessian products may keep: graphs of the gradient, and the solver's basis beside them.
DEFAULT_BUDGET = 4 << 30
# The graph of a gradient that is itself differentiable, in units of what the forward pass alone saves.
# Counted: 1.4 (digits MLP), 1.6 (digits CNN), 2.6 (small GPT); the rest is margin for what no hook sees.
GRAPH_RATIO = 3.5


class SavedBytes:
    """Bytes of the distinct tensors that were saved for backward."""

    def __init__(self, besides: Iterable[Tensor] = ()) -> None:
        self._besides = {tensor.data_ptr() for tensor in besides}
        self._seen: dict[int, int] = {}

    def add(self, tensor: Tensor) -> None:
        held = tensor.numel() * tensor.element_size()
        try:
            held = min(held, tensor.untyped_storage().nbytes())  # an expanded tensor holds less
            place = tensor.data_ptr()
        except (RuntimeError, NotImplementedError):  # sparse tensors, and subclasses without storage
            place = id(tensor)
        if place not in self._besides:
            self._seen[place] = max(held, self._seen.get(place, 0))

    @property
    def total(self) -> int:
        return sum(self._seen.values())


@contextmanager
def counting_saved_bytes(besides: Iterable[Tensor] = ()) -> Iterator[SavedBytes]:
    """Count what the work inside saves for its backward pass, ``besides`` these tensors.

    Example
    -------
    >>> x = torch.ones(100, dtype=torch.float64, requires_grad=True)
    >>> with counting_saved_bytes() as saved:
    ...     _ = x.exp().sum()  # keeps exp(x)
    >>> saved.total
    800
    """
    saved = SavedBytes(besides)

    def pack(tensor: Tensor) -> Tensor:
        saved.add(tensor)
        return tensor.detach()  # the tensor itself would hold its own graph alive

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield saved
