"""Loss, gradient and dense Hessian of a whole training step by plain double backward, in float64."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode


class StayInFloat64(TorchFunctionMode):
    """What language models compute in float32 whatever their parameters: here in float64."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        if func is Tensor.float:
            return args[0].double()
        args = [torch.float64 if a is torch.float32 else a for a in args]
        kwargs = {k: torch.float64 if a is torch.float32 else a for k, a in (kwargs or {}).items()}
        return func(*args, **kwargs)


@contextmanager
def as_evaluated(model: nn.Module, norm_stats: str) -> Iterator[nn.Module]:
    """A copy without dropout, with attention that can be differentiated twice."""
    model = copy.deepcopy(model).double().eval()
    for m in model.modules():
        if isinstance(m, nn.modules.batchnorm._NormBase):
            m.train(norm_stats == "batch")
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), StayInFloat64():
            yield model
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def dense(
    model: nn.Module, step: Callable[..., Tensor], batches: Sequence[dict[str, Tensor]], norm_stats: str
) -> tuple[float, Tensor, Tensor]:
    """(L, gradient [P], Hessian [P, P]) of the mean over the examples, in float64."""
    sizes = [len(batch["labels" if "labels" in batch else "input_ids"]) for batch in batches]
    with as_evaluated(model, norm_stats) as twin:
        leaves = list(twin.parameters())
        parts = [step(twin, batch) * n / sum(sizes) for batch, n in zip(batches, sizes, strict=True)]
        loss = torch.stack(parts).sum()
        pieces = torch.autograd.grad(loss, leaves, create_graph=True)
        gradient = torch.cat([piece.reshape(-1) for piece in pieces])
        eye = torch.eye(len(gradient), dtype=gradient.dtype)
        rows = torch.autograd.grad(
            gradient, leaves, eye, is_grads_batched=True, allow_unused=True, materialize_grads=True
        )
        H = torch.cat([row.reshape(len(gradient), -1) for row in rows], dim=1)
    return float(loss.detach()), gradient.detach(), H
