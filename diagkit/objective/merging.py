"""Small batches made into few large ones, where that is seen not to change L.

Many small batches cost many small passes. But a loss may be a mean over something else than the examples: the
tokens that are no padding, say. Then the mean over one batch is not the weighted mean over its parts.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from diagkit.objective.batches import Batch, merge
from diagkit.objective.fixed_loss import FixedLoss

AWAY = 0.1  # of the parameters' root mean square
SLACK = 1e-4  # relative; at least two roundings of the loss


def merged_alike(fixed: FixedLoss, batches: tuple[Batch, ...], size: int) -> tuple[Batch, ...]:
    """``batches`` merged to at most ``size`` examples; left alone where L would be another.

    Preflight looked at the first batch; here all are compared, at the price of two passes without gradient.
    """
    if not fixed.found.is_mean or fixed.norm_stats != "running":
        return batches
    cuts = merge(batches, size)
    if len(cuts) >= len(batches):
        return batches
    if not _same_mean(fixed, batches, cuts):
        fixed.found.is_mean = False
        fixed.found.notes.append(
            "the loss of a batch is not in every batch the mean of its examples' losses: L is the average "
            "over the batches as cut here"
        )
        return batches
    return cuts


def _same_mean(fixed: FixedLoss, some: Sequence[Batch], others: Sequence[Batch]) -> bool:
    """Compared away from the model's own point, where all examples may lose the same (a head of zeros)."""
    named = dict(fixed.model.named_parameters())
    theta = fixed.layout.join([named[name] for name in fixed.layout.names])
    scale = AWAY * (float(theta.double().square().mean().sqrt()) or 1.0)
    noise = torch.randn(theta.shape, generator=torch.Generator().manual_seed(0))
    params = fixed.layout.split(theta + scale * noise.to(theta))

    def mean_loss(batches: Sequence[Batch]) -> float:
        total = sum(batch.size for batch in batches)
        losses = [float(fixed.of_batch(params, batch, i)) for i, batch in enumerate(batches)]
        return sum(loss * (batch.size / total) for loss, batch in zip(losses, batches, strict=True))

    with fixed.quiet(), torch.no_grad():
        try:
            a, b = mean_loss(some), mean_loss(others)
        except (RuntimeError, TypeError, ValueError, IndexError, KeyError, AttributeError):
            return False  # a fixed batch size inside the model, perhaps
    slack = max(SLACK, 2 * torch.finfo(fixed.precision).eps)
    return abs(a - b) <= slack * max(abs(a), abs(b))  # False where they are not finite
