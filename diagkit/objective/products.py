"""Hessian-vector products at one point: the strategy behind ``Objective.hvp``.

Hv = d/dtheta (grad L(theta) . v), by double backward. Where the graphs of the gradient fit a memory
allowance they are built once and every product is one backward pass through them; otherwise each batch's
graph is rebuilt for every product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from diagkit.errors import NonFiniteError
from diagkit.objective.batches import Batch, tensors_in
from diagkit.objective.fixed_loss import FixedLoss
from diagkit.objective.parameters import ParameterLayout

# Input elements over all batches up to which the graphs are retained. A graph holds the activations of
# every layer, some ten to a hundred times the inputs: at 2^21 elements a GB at the outside.
RETAINED_ELEMENTS = 1 << 21


def wide(device: torch.device) -> torch.dtype:
    """The dtype of sums: float64, except on devices that have none."""
    return torch.float32 if device.type == "mps" else torch.float64


def gradient_of_batch(
    fixed: FixedLoss, leaves: dict[str, Tensor], batch: Batch, index: int, create_graph: bool = False
) -> Sequence[Tensor]:
    """Gradient of one batch; parameters that the loss does not use get zeros."""

    def work() -> Sequence[Tensor]:
        loss = fixed.of_batch(leaves, batch, index)
        wanted = list(leaves.values())
        return torch.autograd.grad(
            loss, wanted, create_graph=create_graph, allow_unused=True, materialize_grads=True
        )

    return fixed.within(leaves, work)


def refuse_cut_graph(gradient: Sequence[Tensor]) -> None:
    """What is once_differentiable cuts the graph; autograd would call what lies behind it unused."""
    todo, seen = [g.grad_fn for g in gradient if g.grad_fn is not None], set()
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        if type(node).__name__ == "Error":
            raise RuntimeError("a function in the model is marked with @once_differentiable")
        todo += [following for following, _ in node.next_functions if following is not None]


class HessianProducts:
    """v -> Hv at a fixed theta, averaged over all examples in float64.

    Parameters
    ----------
    fixed : the mean loss of one batch as a function of named parameters.
    on_product : called once for each product, to count it.
    """

    def __init__(
        self,
        fixed: FixedLoss,
        layout: ParameterLayout,
        theta: Tensor,
        batches: Sequence[Batch],
        on_product: Callable[[], None],
    ) -> None:
        self.fixed, self.layout, self.batches, self.on_product = fixed, layout, batches, on_product
        self.num_examples = sum(batch.size for batch in batches)
        self.leaves = {n: t.detach().clone().requires_grad_() for n, t in layout.split(theta).items()}
        elements = sum(t.numel() for batch in batches for t in tensors_in(batch.payload))
        self.retained: list[Any] | None = None
        if elements <= RETAINED_ELEMENTS:
            self.retained = [self._graph(i) for i in range(len(batches))]

    def _graph(self, index: int) -> list[tuple[Tensor, int]]:
        """The gradient's tensors that depend on theta, each with its place; the others contribute zero."""
        batch = self.batches[index]
        gradient = gradient_of_batch(self.fixed, self.leaves, batch, index, create_graph=True)
        if index == 0:
            refuse_cut_graph(gradient)
        return [(g, place) for place, g in enumerate(gradient) if g.requires_grad]

    def matvec(self, v: Tensor) -> Tensor:
        """Hv [P] in float64, for v [P]."""
        self.on_product()
        return self.fixed.within(self.leaves, lambda: self._matvec(v))

    def _matvec(self, v: Tensor) -> Tensor:
        parts = list(self.layout.split(v.to(self.layout.device, self.layout.dtype)).values())
        total = torch.zeros(self.layout.num_params, dtype=wide(self.layout.device), device=self.layout.device)
        leaves = list(self.leaves.values())
        for index, batch in enumerate(self.batches):
            graph = self.retained[index] if self.retained is not None else self._graph(index)
            if graph:
                product = torch.autograd.grad(
                    [g for g, _ in graph],
                    leaves,
                    [parts[place] for _, place in graph],
                    retain_graph=self.retained is not None,
                    allow_unused=True,
                    materialize_grads=True,
                )
                total += self.layout.join(product, total.dtype) * (batch.size / self.num_examples)
        if not bool(torch.isfinite(total).all()):
            raise NonFiniteError(
                "the Hessian-vector product holds NaN or Inf: the loss has no finite second derivative here; "
                "look for sqrt, norm or a fractional power at 0, or an overflow inside the loss"
            )
        return total
