"""Data read once, kept in a fixed order and cut, each batch with its number of examples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate

from diagkit.errors import InputError
from diagkit.objective.arguments import check_count
from diagkit.objective.trace import seed_everything

# Elements of the inputs in one batch of our own cutting: about 4 MB of float32, so that small data
# stay in one batch (one product, one pass) and images come by the hundred.
ELEMENTS_PER_BATCH = 1 << 20
ALLOWED = "(X, y) tensors, a Dataset, a DataLoader, or an iterable of (inputs, targets)"


class Batch(NamedTuple):
    """What one call of the loss sees, and how many examples that is."""

    payload: Any
    size: int


def tensors_in(tree: Any) -> list[Tensor]:
    """Every tensor in a nest of containers."""
    return [leaf for leaf in tree_flatten(tree)[0] if isinstance(leaf, Tensor)]


def batch_size_of(payload: Any) -> int:
    """Number of examples: the common first dimension; inputs and targets must agree on it."""
    pair = payload if isinstance(payload, (tuple, list)) and len(payload) == 2 else (payload,)
    sizes = []
    for part in pair:
        first = next((t for t in tensors_in(part) if t.ndim > 0), None)
        if first is not None:
            sizes.append(int(first.shape[0]))
    if not sizes:
        raise InputError("a batch without tensors", allowed=ALLOWED)
    if len(set(sizes)) > 1:
        raise InputError(
            f"inputs with {sizes[0]} examples and targets with {sizes[1]}",
            allowed="the same first dimension in both",
        )
    return sizes[0]


def cut(payload: Any, chosen: Any, size: int) -> Any:
    """Index every tensor whose first dimension is the batch; leave the rest."""
    return tree_map(lambda t: t[chosen] if isinstance(t, Tensor) and t.shape[:1] == (size,) else t, payload)


def read_batches(
    data: Any,
    *,
    convert: Callable[[Any], Any] = lambda payload: payload,
    max_examples: int | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    pairs: bool = True,
) -> tuple[Batch, ...]:
    """Read ``data`` once.

    Tensors and map-style datasets that are larger than ``max_examples`` are thinned to a random subset
    (``seed``); an iterable is read in its own order until there are enough. ``convert`` moves a batch to
    where the model is. ``pairs``: every batch must be (inputs, targets).
    """
    check_count("max_examples", max_examples, optional=True)
    check_count("batch_size", batch_size, optional=True)
    batches, count = [], 0
    with same_data_order(data):
        if not is_one_batch(
            data
        ):  # whose reading may draw; seeding itself takes as long as a small model's loss
            seed_everything(seed)
        for payload in _payloads(data, max_examples, batch_size, seed):
            payload = tree_map(lambda x: torch.as_tensor(x) if isinstance(x, np.ndarray) else x, payload)
            if pairs and not (isinstance(payload, (tuple, list)) and len(payload) == 2):
                raise InputError(
                    f"a batch that is a {type(payload).__name__}"
                    + (f" of {len(payload)} parts" if isinstance(payload, (tuple, list, dict)) else ""),
                    allowed=ALLOWED,
                    write="Objective.from_step(model, step, data) for batches of another shape",
                )
            size = batch_size_of(payload)
            if max_examples is not None and count + size > max_examples:
                payload, size = cut(payload, slice(max_examples - count), size), max_examples - count
            if size:
                batches.append(Batch(convert(payload), size))
                count += size
            if max_examples is not None and count >= max_examples:
                break
    if not batches:
        raise InputError("empty data", allowed="at least one example")
    return tuple(batches)


def _payloads(data: Any, max_examples: int | None, batch_size: int | None, seed: int) -> Iterator[Any]:
    if isinstance(data, DataLoader):
        yield from data
    elif isinstance(data, IterableDataset):
        yield from DataLoader(data, batch_size=batch_size or 256)
    elif isinstance(data, Dataset) and hasattr(data, "__len__"):
        chosen = _subset(len(data), max_examples, seed)
        if len(chosen):
            example = default_collate([data[int(chosen[0])]])
            for part in _even_cuts(chosen, batch_size or _default_size(example, 1)):
                yield default_collate([data[int(i)] for i in part])
    elif is_one_batch(data):
        whole = tree_map(lambda x: torch.as_tensor(x) if isinstance(x, np.ndarray) else x, data)
        size = batch_size_of(whole)
        chosen = _subset(size, max_examples, seed)
        parts = _even_cuts(chosen, batch_size or _default_size(whole, size)) if size else []
        for part in parts:
            yield whole if len(part) == size else cut(whole, torch.as_tensor(part), size)
    elif isinstance(data, Iterable) and not isinstance(data, (str, bytes, Tensor, np.ndarray)):
        yield from data
    else:
        raise InputError(f"data of type {type(data).__name__}", allowed=ALLOWED, write="(X, y)")


def is_one_batch(data: Any) -> bool:
    """(X, y) of arrays, or a dict of arrays: one batch that we may cut ourselves."""
    if isinstance(data, Mapping):
        return bool(data) and any(isinstance(x, (Tensor, np.ndarray)) for x in data.values())
    if isinstance(data, (tuple, list)) and len(data) == 2:
        return isinstance(data[1], (Tensor, np.ndarray)) and not isinstance(data[0], str)
    return False


def _subset(size: int, limit: int | None, seed: int) -> np.ndarray:
    if limit is None or size <= limit:
        return np.arange(size)
    return np.sort(np.random.default_rng(seed).choice(size, limit, replace=False))


def _default_size(payload: Any, size: int) -> int:
    elements = max((t.numel() for t in tensors_in(payload)), default=1) / max(size, 1)
    return max(1, int(ELEMENTS_PER_BATCH / max(elements, 1)))


def _even_cuts(indices: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Batches of nearly equal size, so that no batch of one example is left for BatchNorm to fail on."""
    return np.array_split(indices, -(-len(indices) // batch_size))


def pooled(batches: Sequence[Batch]) -> Batch | None:
    """All examples as one batch, None where the batches' tensors do not fit together."""
    sizes = [batch.size for batch in batches]
    trees = [tree_flatten(batch.payload) for batch in batches]
    leaves, spec = trees[0]
    columns = []
    for column in zip(*(part for part, _ in trees), strict=False):
        per_example = all(
            isinstance(t, Tensor) and t.shape[:1] == (n,) for t, n in zip(column, sizes, strict=True)
        )
        if per_example and len({t.shape[1:] for t in column}) == 1:
            columns.append(torch.cat(column))
        elif not per_example and len(batches) == 1:
            columns.append(column[0])
        else:
            return None
    if any(s != spec for _, s in trees) or len(columns) != len(leaves):
        return None
    return Batch(tree_unflatten(columns, spec), sum(sizes))


def merge(batches: Sequence[Batch], size: int) -> tuple[Batch, ...]:
    """The same examples in the same order, in as few batches of at most ``size`` as there can be.

    Returned as they are where their tensors do not fit together.
    """
    pool = pooled(batches)
    if pool is None or (len(batches) == 1 and pool.size <= size):
        return tuple(batches)
    device = tensors_in(pool.payload)[0].device
    parts = torch.arange(pool.size, device=device).tensor_split(-(-pool.size // size))
    return tuple(Batch(cut(pool.payload, part, pool.size), len(part)) for part in parts)


@contextmanager
def same_data_order(data: Any) -> Iterator[None]:
    """Reading a shuffling loader draws from its own generators: put them back afterwards."""
    owners = [data]
    for name in ("sampler", "batch_sampler"):
        owners.append(getattr(data, name, None))
    owners.append(getattr(owners[-1], "sampler", None))
    found = [getattr(owner, "generator", None) for owner in owners if owner is not None]
    generators = {id(g): g for g in found if isinstance(g, torch.Generator)}
    states = {key: g.get_state() for key, g in generators.items()}
    try:
        yield
    finally:
        for key, generator in generators.items():
            generator.set_state(states[key])
