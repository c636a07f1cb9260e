"""One rank's share of L and of its gradient: sums over batches, weighted by examples of the whole."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from diagkit.objective.batches import Batch
from diagkit.objective.fixed_loss import FixedLoss
from diagkit.objective.products import gradient_of_batch, wide


def loss_share(fixed: FixedLoss, theta: Tensor, batches: Sequence[Batch], num_examples: int) -> Tensor:
    """sum_b (n_b / N) L_b(theta), [1]."""
    parts, total = fixed.layout.split(theta), 0.0
    with fixed.quiet(), torch.no_grad():
        for index, batch in enumerate(batches):
            total += float(fixed.of_batch(parts, batch, index)) * (batch.size / num_examples)
    return torch.tensor([total], dtype=torch.float64)


def gradients(
    fixed: FixedLoss, theta: Tensor, batches: Sequence[Batch], num_examples: int | None = None
) -> Tensor:
    """The gradient of each batch [batches, P]; with ``num_examples`` N, their sum weighted by n_b / N [P]."""
    device = fixed.layout.device
    shape = (len(batches),) if num_examples is None else ()
    with fixed.quiet():
        out = torch.zeros(*shape, fixed.layout.num_params, dtype=wide(device), device=device)
        leaves = {n: t.detach().clone().requires_grad_() for n, t in fixed.layout.split(theta).items()}
        for index, batch in enumerate(batches):
            row = fixed.layout.join(gradient_of_batch(fixed, leaves, batch, index), out.dtype)
            if num_examples is None:
                out[index] = row
            else:
                out += row * (batch.size / num_examples)
    return out
