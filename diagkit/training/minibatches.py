"""Minibatches in a seeded order: the same seed cuts the same data in the same way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_map
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate

from diagkit.errors import InputError
from diagkit.objective.batches import batch_size_of, cut, tensors_in

BATCH_SIZE = 32
ALLOWED = "(X, y) tensors, a Dataset, a DataLoader, or a re-iterable of (inputs, targets)"


class Minibatches:
    r"""The data of a run, read batch by batch, once per epoch.

    Tensors and map-style datasets of N examples are cut in :math:`\lceil N / B \rceil` minibatches of B
    examples, the last one smaller. With ``shuffle``, epoch e uses the e-th ``torch.randperm(N, generator=g)``
    of a private generator that starts at ``seed``. Loaders and iterables are read in their own order and cut.

    Parameters
    ----------
    data : (X, y) with X a tensor or a tuple or dict of tensors, a Dataset, a DataLoader, or an iterable that
        can be read again and again. NumPy arrays are taken as tensors.
    batch_size : B; None for 32. Only where the cutting is ours.
    shuffle : draw a new order in each epoch.
    seed : start of the private generator.

    Raises
    ------
    InputError : empty data, inputs and targets of different length, an iterator that can be read only once,
        a ``batch_size`` for data that are cut already.

    Example
    -------
    >>> X, y = torch.arange(5.0)[:, None], torch.arange(5)
    >>> batches = Minibatches((X, y), batch_size=2)
    >>> len(batches), sorted(int(t) for _, targets in batches for t in targets)
    (3, [0, 1, 2, 3, 4])
    """

    def __init__(
        self,
        data: Any,
        *,
        batch_size: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        name: str = "data",
    ) -> None:
        if batch_size is not None and (not isinstance(batch_size, (int, np.integer)) or batch_size < 1):
            raise InputError(
                f"batch_size={batch_size!r}", allowed="an integer of 1 or more", write="batch_size=32"
            )
        self.name, self.shuffle = name, shuffle
        self.data, self.num_examples = _prepare(data, name)
        if self.num_examples is None and batch_size is not None:
            raise InputError(
                f"batch_size={batch_size} with {name} that come in batches already ({type(data).__name__})",
                allowed="batch_size with (X, y) tensors or a Dataset",
                write=f"no batch_size, or DataLoader(dataset, batch_size={batch_size})",
            )
        self.batch_size = int(batch_size or BATCH_SIZE)
        self._generator = torch.Generator().manual_seed(seed)

    @property
    def num_batches(self) -> int | None:
        """Batches per epoch; None where the data do not say."""
        if self.num_examples is not None:
            return -(-self.num_examples // self.batch_size)
        try:
            return len(self.data)
        except TypeError:
            return None

    def __len__(self) -> int:
        if self.num_batches is None:
            raise TypeError(f"{type(self.data).__name__} does not know its length")
        return self.num_batches

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        """One epoch of (inputs, targets)."""
        count = 0
        for batch in self._cut() if self.num_examples is not None else self.data:
            if not (isinstance(batch, (tuple, list)) and len(batch) == 2):
                parts = f" of {len(batch)} parts" if isinstance(batch, (tuple, list, dict)) else ""
                raise InputError(
                    f"a batch of {self.name} that is a {type(batch).__name__}{parts}",
                    allowed="batches of (inputs, targets)",
                    write="(inputs, targets) with inputs a tensor, a tuple or a dict",
                )
            count += 1
            yield batch[0], batch[1]
        if not count:
            raise InputError(
                f"{self.name} without a batch in this epoch",
                allowed="at least one batch each time they are read",
            )

    def _cut(self) -> Iterator[Any]:
        n = self.num_examples or 0
        order = torch.randperm(n, generator=self._generator) if self.shuffle else torch.arange(n)
        for chosen in order.split(self.batch_size):
            if isinstance(self.data, Dataset):
                yield default_collate([self.data[int(i)] for i in chosen])
            else:
                yield cut(self.data, chosen, n)


def _prepare(data: Any, name: str) -> tuple[Any, int | None]:
    """The data, and N where we cut them ourselves."""
    if isinstance(data, DataLoader):
        return data, None
    if isinstance(data, IterableDataset):
        raise InputError(
            f"{name} as an IterableDataset", allowed=ALLOWED, write="DataLoader(dataset, batch_size=32)"
        )
    if isinstance(data, Dataset) and hasattr(data, "__len__"):
        size = len(data)
    elif isinstance(data, (tuple, list)) and len(data) == 2 and isinstance(data[1], (Tensor, np.ndarray)):
        data = tree_map(lambda x: torch.as_tensor(x) if isinstance(x, np.ndarray) else x, tuple(data))
        size = batch_size_of(data)
        lengths = sorted({len(t) for t in tensors_in(data[0]) if t.ndim})
        if lengths not in ([], [size]):
            raise InputError(
                f"inputs with {lengths} examples", allowed="the same first dimension in all inputs"
            )
    elif isinstance(data, Iterator):
        raise InputError(
            f"{name} as a {type(data).__name__}, which can be read only once",
            allowed=ALLOWED,
            write="list(batches)",
        )
    elif isinstance(data, Iterable) and not isinstance(data, (str, bytes, dict, Tensor, np.ndarray)):
        if hasattr(data, "__len__") and not len(cast(Any, data)):
            raise InputError(f"empty {name}", allowed="at least one batch")
        return data, None
    else:
        raise InputError(f"{name} of type {type(data).__name__}", allowed=ALLOWED, write="(X, y)")
    if size == 0:
        raise InputError(f"empty {name}", allowed="at least one example")
    return data, size
