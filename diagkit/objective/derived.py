"""Objectives made from others: examples cut differently, the same data for a copy of the model."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from diagkit.errors import InputError
from diagkit.objective.batches import ELEMENTS_PER_BATCH, Batch, cut, pooled, tensors_in
from diagkit.objective.merging import merged_alike
from diagkit.objective.objective import Objective
from diagkit.objective.replicas import same_function


def recut(obj: Objective, batch_size: int, seed: int = 0) -> Objective:
    """The same examples in batches of ``batch_size``, in random order; the same L but for rounding."""
    obj.ranks.refuse("examples cut into groups")
    pool = pooled(obj.batches)
    if pool is None:
        raise InputError("batches whose tensors do not fit together", allowed="examples of one shape")
    order = torch.randperm(pool.size, generator=torch.Generator().manual_seed(seed))
    parts = np.array_split(order.numpy(), -(-pool.size // batch_size))
    other = obj.at(obj.theta)
    cuts = [torch.as_tensor(part).to(obj.layout.device) for part in parts]
    other.batches = tuple(Batch(cut(pool.payload, i, pool.size), len(i)) for i in cuts)
    return other


def thinned(obj: Objective, max_examples: int, seed: int = 0) -> Objective:
    """A random part of the examples; whole batches where their tensors do not fit together."""
    if obj.num_examples <= max_examples:
        return obj
    other, pool = obj.at(obj.theta), pooled(obj.batches)
    here = obj.ranks.quota(max_examples)
    generator = torch.Generator().manual_seed(seed)
    if pool is not None:
        chosen = torch.randperm(pool.size, generator=generator)[:here].sort().values
        payload = cut(pool.payload, chosen.to(obj.layout.device), pool.size)
        other.batches = (Batch(payload, len(chosen)),)
    else:
        order = torch.randperm(len(obj.batches), generator=generator).tolist()
        kept: list[Batch] = []
        for index in order:
            if kept and sum(batch.size for batch in kept) >= here:
                break
            kept.append(obj.batches[index])
        other.batches = tuple(kept)
    other.num_examples = obj.ranks.count(sum(batch.size for batch in other.batches))
    return merged(other)


def merged(obj: Objective) -> Objective:
    """The same examples in as few batches as memory suggests, where cutting does not matter to L.

    Many small batches cost many small passes. The cut is kept where the loss is not a mean over examples,
    or was not seen to be one, and where BatchNorm uses the batch.
    """
    if not (obj.fixed.found.is_mean and obj.norm_stats == "running"):
        return obj
    payload = obj.batches[0].payload
    per_example = max(t.numel() for t in tensors_in(payload)) / obj.batches[0].size
    cuts = merged_alike(obj.fixed, obj.batches, max(1, int(ELEMENTS_PER_BATCH / max(per_example, 1))))
    if len(cuts) >= len(obj.batches):
        return obj
    other = obj.at(obj.theta)
    other.batches = cuts
    return other


def of_model(obj: Objective, model: nn.Module) -> Objective:
    """The same data and loss for a copy of the model, at the copy's parameters and buffers."""
    named = dict(model.named_parameters())
    other = obj.at(obj.layout.join([named[name] for name in obj.layout.names]), check=False)
    other.fixed = obj.fixed.of_model(model)
    same_function(other.ranks, other.fixed, other.theta)
    return other
