"""Ways to compare batch sizes: what is held fixed, and what follows the batch size."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from diagkit.errors import InputError
from diagkit.objective import check_count


@dataclass(frozen=True)
class Recipe:
    """A run: examples per step, learning rate, steps."""

    batch_size: int
    rate: float
    steps: int

    @property
    def settings(self) -> dict[str, Any]:
        """As settings of a sweep."""
        return asdict(self)


@dataclass(frozen=True)
class Reference:
    """The run that all arms share: the smallest batch size at the rate that was given.

    Attributes
    ----------
    epochs : passes over ``num_examples`` examples.
    """

    batch_size: int
    rate: float
    epochs: int
    num_examples: int

    def steps(self, batch_size: int) -> int:
        """Steps in ``epochs`` epochs: ceil(N / B) in each, of which the last has N mod B examples."""
        return self.epochs * math.ceil(self.num_examples / batch_size)


Arm = Callable[[Reference, int, Mapping[int, float]], Recipe]


def _same_epochs(reference: Reference, batch_size: int, tuned: Mapping[int, float]) -> Recipe:
    return Recipe(batch_size, reference.rate, reference.steps(batch_size))


def _same_steps(reference: Reference, batch_size: int, tuned: Mapping[int, float]) -> Recipe:
    return Recipe(batch_size, reference.rate, reference.steps(reference.batch_size))


def _linear_rate(reference: Reference, batch_size: int, tuned: Mapping[int, float]) -> Recipe:
    factor = batch_size / reference.batch_size
    return Recipe(batch_size, reference.rate * factor, reference.steps(batch_size))


def _square_root_rate(reference: Reference, batch_size: int, tuned: Mapping[int, float]) -> Recipe:
    factor = math.sqrt(batch_size / reference.batch_size)
    return Recipe(batch_size, reference.rate * factor, reference.steps(batch_size))


def _tuned_rate(reference: Reference, batch_size: int, tuned: Mapping[int, float]) -> Recipe:
    return Recipe(batch_size, tuned[batch_size], reference.steps(batch_size))


TUNED = "tuned rate"
ARMS: dict[str, Arm] = {
    "same epochs": _same_epochs,
    "same steps": _same_steps,
    "linear rate": _linear_rate,
    "square-root rate": _square_root_rate,
    TUNED: _tuned_rate,
}
UNTUNED = tuple(name for name in ARMS if name != TUNED)
# As many updates of the same size, or a step that grows with the batch: nothing is expected to differ.
EQUIVALENT = ("same steps", "linear rate")


def check_arms(arms: Any) -> tuple[str, ...]:
    """Known arms, each once.

    Raises
    ------
    InputError : an unknown arm, or none.

    Example
    -------
    >>> check_arms(["same steps", "linear rate"])
    ('same steps', 'linear rate')
    """
    chosen = (arms,) if isinstance(arms, str) else tuple(arms) if isinstance(arms, Iterable) else ()
    if not chosen or len(set(chosen)) < len(chosen) or any(arm not in ARMS for arm in chosen):
        raise InputError(
            f"arms = {arms!r}", allowed=f"some of {list(ARMS)}, each once", write='arms=("same epochs",)'
        )
    return chosen


def check_batch_sizes(batch_sizes: Any, num_examples: int, *, least: int = 2) -> tuple[int, ...]:
    """Batch sizes in order, each once, 1 <= B <= N.

    Raises
    ------
    InputError : fewer than ``least``, one that is larger than the data, the same twice.

    Example
    -------
    >>> check_batch_sizes([200, 20], 1437)
    (20, 200)
    """
    chosen = list(batch_sizes) if isinstance(batch_sizes, Iterable) else []
    for size in chosen:
        check_count("batch_size", size)
    if len(chosen) < least or len(set(chosen)) < len(chosen) or max(chosen) > num_examples:
        raise InputError(
            f"batch_sizes = {batch_sizes!r} for {num_examples} examples",
            allowed=f"{least} or more different integers from 1 to N = {num_examples}",
            write=f"batch_sizes=[{min(20, num_examples)}, {min(200, num_examples)}]",
        )
    return tuple(sorted(int(np.int64(size)) for size in chosen))
