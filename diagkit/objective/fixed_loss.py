"""The loss as a function of named parameters alone: data, buffers and other parameters held fixed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_map

from diagkit.errors import InputError
from diagkit.objective.batches import Batch
from diagkit.objective.parameters import ParameterLayout
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


class _StandIn(nn.Module):
    """Runs any work while other tensors stand in for the model's: the loss, and its derivatives too."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, work: Callable[[], T]) -> T:
        return work()


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
        self._module, self._depth = _StandIn(model), 0
        chosen = set(layout.names)
        self._others = {
            f"model.{n}": p.detach().clone() for n, p in model.named_parameters() if n not in chosen
        }
        self._buffers = {f"model.{n}": b.detach().clone() for n, b in model.named_buffers()}

    def of_model(self, model: nn.Module) -> FixedLoss:
        """The same loss of a copy of the model; its work is counted on the same meter."""
        other = FixedLoss(model, self.step, self.layout, self.norm_stats, self.seed)
        other.meter, other.found = self.meter, self.found
        return other

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Everything inside leaves no trace; nested uses cost nothing."""
        if self._depth:
            yield
            return
        with leave_no_trace(self._module, self.norm_stats):
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
        that it finds then.
        """
        named = {f"model.{name}": tensor for name, tensor in params.items()}
        buffers = {name: b.clone() for name, b in self._buffers.items()}
        return functional_call(self._module, {**self._others, **buffers, **named}, (work,))

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
