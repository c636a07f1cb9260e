"""The loss as a function of named parameters alone: data, buffers and other parameters held fixed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from diagkit.errors import InputError
from diagkit.objective.batches import Batch
from diagkit.objective.parameters import ParameterLayout
from diagkit.objective.precision import coarsest
from diagkit.objective.trace import leave_no_trace, seed_everything

Step = Callable[[nn.Module, Any], Tensor]
T = TypeVar("T")


@dataclass
class Meter:
    """Work done so far; measurements take differences of it."""

    num_evals: int = 0  # forward passes over all the data
    num_gradients: int = 0
    num_hvps: int = 0


@dataclass
class Findings:
    """What preflight found, in words, and the facts that change how the loss is called and cut."""

    notes: list[str] = field(default_factory=list)
    random: bool = False  # draws random numbers also in evaluation mode
    is_mean: bool = False  # the loss of a batch was seen to be the mean over its examples
    bytes_per_example: float = 0.0  # what a forward pass saves for its backward pass
    dtypes: frozenset[torch.dtype] = frozenset()  # in which the loss was seen to be computed


@dataclass(frozen=True)
class Slot:
    """A place in the model that holds a parameter or a buffer; tied weights have several."""

    table: dict[str, Any]
    key: str
    name: str  # the first name under which the model lists the tensor


def slots_of(model: nn.Module) -> tuple[Slot, ...]:
    """Every place of every tensor of a model."""
    first = {id(t): name for name, t in [*model.named_parameters(), *model.named_buffers()]}
    found = []
    for module in model.modules():
        tables: tuple[dict[str, Any], ...] = (module._parameters, module._buffers)
        for table in tables:
            found += [Slot(table, key, first[id(t)]) for key, t in table.items() if t is not None]
    return tuple(found)


class FixedLoss:
    """Mean loss of a batch as a pure function of the parameters in ``layout``.

    Buffers and all other parameters are copied: training the model further does not move the function.
    """

    def __init__(
        self, model: nn.Module, step: Step, layout: ParameterLayout, norm_stats: str, seed: int
    ) -> None:
        self.model, self.step, self.layout = model, step, layout
        self.norm_stats, self.seed = norm_stats, seed
        self.meter, self.found = Meter(), Findings()
        self._depth, self._slots = 0, slots_of(model)
        chosen = set(layout.names)
        self._others = {n: p.detach().clone() for n, p in model.named_parameters() if n not in chosen}
        self._buffers = {n: b.detach().clone() for n, b in model.named_buffers()}

    def of_model(self, model: nn.Module) -> FixedLoss:
        """The same loss of a copy of the model; its work is counted on the same meter."""
        other = FixedLoss(model, self.step, self.layout, self.norm_stats, self.seed)
        other.meter, other.found = self.meter, self.found
        return other

    @property
    def precision(self) -> torch.dtype:
        """The coarsest dtype among parameters and what is computed from them: it sets the rounding."""
        return coarsest([*self.layout.dtypes, *self.found.dtypes])

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Everything inside leaves no trace; nested uses cost nothing."""
        if self._depth:
            yield
            return
        with leave_no_trace(self.model, self.norm_stats):
            self._depth = 1
            try:
                yield
            finally:
                self._depth = 0

    def of_batch(self, params: dict[str, Tensor], batch: Batch, index: int) -> Tensor:
        """Scalar mean loss of one batch; call inside :meth:`quiet`."""
        if self.found.random:  # a model that draws noise: the same noise each time
            seed_everything(self.seed + index)
        return self.within(params, lambda: self.step(self.model, batch.payload))

    def within(self, params: dict[str, Tensor], work: Callable[[], T]) -> T:
        """Do ``work`` while the model holds ``params``.

        Backward passes belong inside as well: a checkpointed layer runs again in them, with the parameters
        that it finds then. (As ``torch.func.functional_call`` does, at a tenth of its cost for small models.)
        """
        held = {**self._others, **{name: b.clone() for name, b in self._buffers.items()}, **params}
        before = [slot.table[slot.key] for slot in self._slots]
        try:
            for slot in self._slots:
                slot.table[slot.key] = held[slot.name]
            return work()
        finally:
            for slot, tensor in zip(self._slots, before, strict=True):
                slot.table[slot.key] = tensor

    def to_model(self, payload: Any) -> Any:
        """Move a batch to the model's device; floating tensors follow a model of one real dtype."""
        dtypes = set(self.layout.dtypes)
        dtype = dtypes.pop() if len(dtypes) == 1 else None
        follow = dtype in (torch.float32, torch.float64)

        def move(x: Any) -> Any:
            if not isinstance(x, Tensor):
                return x
            x = (x.clone() if x.is_inference() else x).detach().to(self.layout.device)
            return x.to(dtype) if follow and x.dtype in (torch.float32, torch.float64) else x

        return tree_map(move, payload)


def call_model(model: nn.Module, inputs: Any) -> Any:
    """``model(x)``; a tuple or list of inputs is spread as arguments, a dict as keywords."""
    if isinstance(inputs, (tuple, list)):
        return model(*inputs)
    return model(**inputs) if isinstance(inputs, dict) else model(inputs)


@dataclass(frozen=True)
class Stepwise:
    """A loss given as ``step(model, batch)``; ``pairs``: its batches are (inputs, targets)."""

    step: Step
    pairs: bool

    @classmethod
    def of_pairs(cls, loss_fn: Any) -> Stepwise:
        """The step of ``loss_fn(model(inputs), targets)``."""
        if not callable(loss_fn):
            raise InputError(
                f"loss_fn={loss_fn!r}",
                allowed="a callable (outputs, targets) -> scalar",
                write="torch.nn.CrossEntropyLoss()",
            )

        def step(model: nn.Module, payload: Any) -> Tensor:
            inputs, targets = payload
            return loss_fn(call_model(model, inputs), targets)

        return cls(step, pairs=True)
