"""Hessian-vector products at one point: the work behind ``Objective.hvp``.

Hv = d/dtheta (grad L(theta) . v), by double backward: the graph of the gradient is built, and a product is
one pass backward through it. :mod:`diagkit.objective.strategy` says which graphs are kept between products.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from diagkit.errors import NonFiniteError
from diagkit.objective.batches import Batch
from diagkit.objective.fixed_loss import FixedLoss
from diagkit.objective.kernels import CheapSecondDerivatives
from diagkit.objective.ranks import Alone, Ranks
from diagkit.objective.strategy import Strategy

Graph = list[tuple[Tensor, int]]
# What autograd says where the kernels cannot serve: third derivatives (a loss that holds a gradient),
# torch.func inside the model, a checkpointed block, which runs again in the products, where the kernels are
# not active.
KERNEL_LIMITS = ("once_differentiable", "functorch", "torch.utils.checkpoint")


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
    strategy : how the examples are cut, and which batches' graphs are kept.
    ranks, num_examples : among whom the data are shared, and N, their examples together.
    """

    def __init__(
        self,
        fixed: FixedLoss,
        theta: Tensor,
        strategy: Strategy,
        ranks: Alone | Ranks,
        num_examples: int,
    ) -> None:
        self.fixed, self.layout = fixed, fixed.layout
        self.ranks, self.num_examples = ranks, num_examples
        self.strategy, self.batches, self.kernels = strategy, strategy.batches, True
        self.leaves = {n: t.detach().clone().requires_grad_() for n, t in self.layout.split(theta).items()}
        with ranks.together(theta):
            self.kept: list[Graph | None] = self._keep()

    @property
    def wide(self) -> torch.dtype:
        """The dtype of vectors and sums here."""
        return wide(self.layout.device)

    def _keep(self) -> list[Graph | None]:
        """The graphs that are kept. What the kernels cannot do, plain autograd is asked for."""
        while True:
            try:
                return [self._graph(i) if keep else None for i, keep in enumerate(self.strategy.keep)]
            except RuntimeError as error:
                self._give_up_kernels(error)

    def _give_up_kernels(self, error: RuntimeError) -> None:
        """Go on without the kernels where they may be the reason of this error; raise it otherwise."""
        if not (self.kernels and any(sign in str(error) for sign in KERNEL_LIMITS)):
            raise error
        self.kernels = False

    def _graph(self, index: int) -> Graph:
        """The gradient's tensors that depend on theta, each with its place; the others contribute zero."""
        with CheapSecondDerivatives() if self.kernels else nullcontext():
            gradient = gradient_of_batch(
                self.fixed, self.leaves, self.batches[index], index, create_graph=True
            )
        if index == 0:
            refuse_cut_graph(gradient)
        return [(g, place) for place, g in enumerate(gradient) if g.requires_grad]

    def matvec(self, v: Tensor) -> Tensor:
        """Hv [P] in float64, for v [P]."""
        self.fixed.meter.num_hvps += 1
        total = self.ranks.total(lambda: self._share(v), self.layout.num_params, self.layout.device, v)
        if not bool(torch.isfinite(total).all()):
            raise NonFiniteError(
                "the Hessian-vector product holds NaN or Inf: the loss has no finite second derivative here; "
                "look for sqrt, norm or a fractional power at 0, or an overflow inside the loss"
            )
        return total

    def _share(self, v: Tensor) -> Tensor:
        """What this rank's examples contribute to Hv."""
        parts = list(self.layout.split(v.to(self.layout.device, self.layout.dtype)).values())
        try:
            return self.fixed.within(self.leaves, lambda: self._matvec(parts))
        except RuntimeError as error:
            self._give_up_kernels(error)
            self.kept = self._keep()
            return self.fixed.within(self.leaves, lambda: self._matvec(parts))

    def _matvec(self, parts: Sequence[Tensor]) -> Tensor:
        total: Tensor | None = None
        leaves = list(self.leaves.values())
        for index, batch in enumerate(self.batches):
            kept = self.kept[index]
            graph = self._graph(index) if kept is None else kept
            if not graph:
                continue
            product = torch.autograd.grad(
                [g for g, _ in graph],
                leaves,
                [parts[place] for _, place in graph],
                retain_graph=kept is not None,
                allow_unused=True,
                materialize_grads=True,
            )
            row = self.layout.join(product, wide(self.layout.device))
            row *= batch.size / self.num_examples
            total = row if total is None else total.add_(row)
        if total is None:
            zeros = torch.zeros(self.layout.num_params, dtype=wide(self.layout.device))
            return zeros.to(self.layout.device)
        return total
