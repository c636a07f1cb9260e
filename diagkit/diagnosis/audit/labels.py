"""Targets and inputs of all examples that were read, and what kind of thing they are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten
from torch.utils.data import DataLoader

from diagkit.diagnosis.audit.probe import probe
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.examples import examples_to_read
from diagkit.objective import Batch, batch_size_of, pooled


@dataclass(frozen=True)
class Table:
    """Inputs [n, ...] and targets [n, ...] of the examples read, in the order in which they came.

    all_read : nothing was left out. in_order : as the data set holds them, not drawn by a sampler.
    """

    inputs: Tensor
    targets: Tensor
    cuts: tuple[int, ...]
    all_read: bool

    @property
    def size(self) -> int:
        return len(self.targets)

    @cached_property
    def are_classes(self) -> bool:
        """One whole number per example, as a classifier takes them."""
        return not self.targets.is_floating_point() and self.targets.ndim == 1

    @cached_property
    def are_numbers(self) -> bool:
        """Real targets of a regression: floating, one row per example."""
        return self.targets.is_floating_point() and self.targets.ndim <= 2

    @cached_property
    def features(self) -> Tensor | None:
        """Inputs as columns [n, d] in float64; None for symbols, which have no scale."""
        if not self.inputs.is_floating_point() or self.inputs.ndim < 2:
            return None
        return self.inputs.flatten(1).double()


def table_of(payloads: list[Any], all_read: bool) -> Table | None:
    """Batches of (inputs, targets), one tensor each, as a table; None where they are something else."""
    batches = [Batch(payload, batch_size_of(payload)) for payload in payloads]
    pool = pooled(batches)
    if pool is None or not isinstance(pool.payload, (tuple, list)) or len(pool.payload) != 2:
        return None
    leaves = [tree_flatten(part)[0] for part in pool.payload]
    if any(len(part) != 1 or not isinstance(part[0], Tensor) for part in leaves):
        return None
    inputs, targets = (part[0].detach().cpu() for part in leaves)
    if inputs.shape[:1] != targets.shape[:1]:
        return None
    return Table(inputs, targets, tuple(batch.size for batch in batches), all_read)


def table(case: Case) -> Table | None:
    """The examples of a case as a table."""

    def make() -> Table | None:
        read = sum(batch_size_of(payload) for payload in case.read)
        return table_of(case.read, read < examples_to_read(case.train_data))

    return case.once("table", make)


def dataset_table(case: Case) -> Table | None:
    """The same in the order of the data set, where a loader would have shuffled it."""

    def make() -> Table | None:
        data = case.train_data
        if not isinstance(data, DataLoader) or not hasattr(data.dataset, "__len__"):
            return table(case)
        count = min(len(data.dataset), examples_to_read(data))
        try:
            items = [data.dataset[i] for i in range(count)]
        except (TypeError, KeyError, IndexError):
            return None
        if not all(isinstance(item, (tuple, list)) and len(item) == 2 for item in items):
            return None
        try:
            inputs, targets = (torch.stack([torch.as_tensor(item[k]) for item in items]) for k in (0, 1))
        except (TypeError, ValueError, RuntimeError):
            return None
        return table_of([(inputs, targets)], count == len(data.dataset))

    return case.once("table in order", make)


def num_classes(case: Case) -> int | None:
    """Columns of the output of a classifier; None for anything else."""
    found, known = probe(case), table(case)
    if found is None or known is None or not known.are_classes:
        return None
    with found.quiet():
        output = found.see(found.batches[0]).output
    return None if output is None or output.ndim != 2 else int(output.shape[1])
