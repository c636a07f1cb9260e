"""How to take Hessian products here: the one place that decides, from what is known beforehand.

Two questions, with the measurements behind the answers in docs/design/curvature.md:

*Cut.* One pass over one large batch costs less than many over small ones: batches are merged where that
does not change L, up to a part of the memory that the graphs may hold.

*Keep.* A graph of the gradient that is kept costs one gradient to build and then saves one at every product.
It pays from the second product on. As many batches as fit the memory are kept, the others built each time.

The kernels with cheap second derivatives (:mod:`diagkit.objective.kernels`) are used in all cases, so that
the strategy does not move the last digits; they pay where graphs are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from diagkit.objective.batches import Batch, tensors_in
from diagkit.objective.fixed_loss import FixedLoss
from diagkit.objective.memory import GRAPH_RATIO
from diagkit.objective.merging import merged_alike

MERGED_SHARE = 0.25  # of the budget: what the graph of one merged batch may hold
MERGED_EXAMPLES = 1 << 14  # beyond it, larger batches no longer make a pass cheaper


@dataclass(frozen=True)
class Strategy:
    """batches: the examples as products see them; keep [batches]: whose graphs are kept, of about
    ``bytes_kept``."""

    batches: tuple[Batch, ...]
    keep: tuple[bool, ...]
    bytes_kept: int


def graph_bytes(bytes_per_example: float, num_examples: int) -> int:
    """Estimate of what the graph of the gradient of so many examples holds."""
    return int(GRAPH_RATIO * bytes_per_example * num_examples)


def merged_size(bytes_per_example: float, budget: int) -> int:
    """Examples of one merged batch.

    Example
    -------
    >>> merged_size(bytes_per_example=1e6, budget=1 << 30)
    76
    """
    fitting = MERGED_SHARE * budget / (GRAPH_RATIO * max(bytes_per_example, 1.0))
    return max(1, min(MERGED_EXAMPLES, int(fitting)))


def keep_what_fits(sizes: Sequence[int], bytes_per_example: float, budget: int) -> tuple[bool, ...]:
    """Whose graphs are kept, for batches of these sizes.

    Example
    -------
    >>> keep_what_fits([100, 100], bytes_per_example=1e4, budget=1 << 30)
    (True, True)
    >>> keep_what_fits([100, 100], bytes_per_example=1e4, budget=5 << 20)
    (True, False)
    """
    keep, kept = [], 0
    for size in sizes:
        needed = graph_bytes(bytes_per_example, size)
        keep.append(kept + needed <= budget)
        kept += needed if keep[-1] else 0
    return tuple(keep)


class Plan:
    """Decides for one function at any of its points; the merged batches are made once."""

    def __init__(self, fixed: FixedLoss) -> None:
        self.fixed = fixed
        self._merged: tuple[tuple[Batch, ...], tuple[Batch, ...]] | None = None

    def strategy(
        self, batches: tuple[Batch, ...], expected_products: int, budget: int, reserve: int = 0
    ) -> Strategy:
        """For ``expected_products`` products, with ``reserve`` of the ``budget`` in bytes for the caller."""
        cuts = self._cut(batches, budget)
        if expected_products < 2:
            return Strategy(cuts, (False,) * len(cuts), 0)
        each, sizes = self.fixed.found.bytes_per_example, [batch.size for batch in cuts]
        keep = keep_what_fits(sizes, each, budget - reserve)
        kept = graph_bytes(each, sum(size for size, yes in zip(sizes, keep, strict=True) if yes))
        return Strategy(cuts, keep, kept)

    def _cut(self, batches: tuple[Batch, ...], budget: int) -> tuple[Batch, ...]:
        """Fewer, larger batches where that does not change L and halves their number at least."""
        found = self.fixed.found
        if not (found.is_mean and self.fixed.norm_stats == "running" and found.bytes_per_example):
            return batches
        size = merged_size(found.bytes_per_example, budget)
        held = sum(t.numel() * t.element_size() for batch in batches for t in tensors_in(batch.payload))
        total = sum(batch.size for batch in batches)
        if len(batches) < 2 * -(-total // size) or held > MERGED_SHARE * budget:
            return batches
        if self._merged is None or self._merged[0] is not batches:
            self._merged = batches, merged_alike(self.fixed, batches, size)
        return self._merged[1]
