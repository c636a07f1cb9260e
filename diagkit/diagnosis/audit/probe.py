"""A few batches through model and loss, with a look at what passes between the two."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from diagkit.diagnosis.case import Case
from diagkit.errors import DiagkitError
from diagkit.objective import (
    Batch,
    FixedLoss,
    ParameterLayout,
    Step,
    Stepwise,
    batch_size_of,
    cut,
    tensors_in,
)
from diagkit.objective.replicas import whole

T = TypeVar("T")
FEW = 64  # examples of a batch that are looked at
MOST = 8  # batches
TARGET_NAMES = ("labels", "label", "targets", "target", "y")
# What a model or a loss raises on a batch that it was not made for.
COMPLAINTS = (RuntimeError, TypeError, ValueError, IndexError, KeyError, AttributeError)


@dataclass(frozen=True)
class Seen:
    """One batch as model and loss saw it.

    inputs : tensors that the model was called with. output : the floating tensor that it gave back, None
    where ``step`` does not call the model as a whole. loss : scalar.
    """

    payload: Any
    size: int
    inputs: tuple[Tensor, ...]
    output: Tensor | None
    loss: Tensor

    @property
    def has_rows(self) -> bool:
        """One row of the output for each example."""
        return self.output is not None and self.output.shape[:1] == (self.size,)

    @property
    def target(self) -> Tensor | None:
        """The tensor of the batch that the loss compares the output with, as far as that can be told."""
        payload = self.payload
        if isinstance(payload, Mapping):
            named = [payload[name] for name in TARGET_NAMES if isinstance(payload.get(name), Tensor)]
            if named:
                return named[0]
        elif isinstance(payload, (tuple, list)) and len(payload) == 2:
            return payload[1] if isinstance(payload[1], Tensor) else None
        used = {t.data_ptr() for t in self.inputs}
        rest = [t for t in tensors_in(payload) if t.shape[:1] == (self.size,) and t.data_ptr() not in used]
        return rest[0] if len(rest) == 1 else None

    def with_target(self, target: Tensor) -> Any:
        """The same batch with another target."""
        if isinstance(self.payload, Mapping):
            return {k: target if v is self.target else v for k, v in self.payload.items()}
        return type(self.payload)(target if v is self.target else v for v in self.payload)


class Probe:
    """Model and loss of a case in evaluation mode, at its parameters, on its first batches.

    Nothing of the model is changed; call inside :meth:`quiet`.
    """

    def __init__(self, model: nn.Module, step: Step, payloads: Sequence[Any], seed: int) -> None:
        self.model, self.step = whole(getattr(model, "_orig_mod", model)), step
        trainable = any(p.requires_grad for p in self.model.parameters())
        layout = ParameterLayout.of(self.model, None if trainable else "*")
        self.fixed = FixedLoss(self.model, step, layout, "running", seed)
        self.seed = seed
        self.batches = [self._few(payload) for payload in payloads[:MOST]]

    def _few(self, payload: Any) -> Batch:
        size = batch_size_of(payload)
        few = cut(payload, slice(0, FEW), size) if size > FEW else payload
        return Batch(self.fixed.to_model(few), min(size, FEW))

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Evaluation mode, random state and buffers kept, and no warnings of what is about to be judged."""
        with self.fixed.quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield

    def see(self, batch: Batch, change: Callable[[Tensor], Tensor] | None = None) -> Seen:
        """Run one batch; ``change`` replaces the output before the loss sees it."""
        return self.run(batch, lambda seen: seen, change)

    def run(
        self,
        batch: Batch,
        work: Callable[[Seen], T],
        change: Callable[[Tensor], Tensor] | None = None,
        params: dict[str, Tensor] | None = None,
    ) -> T:
        """``work`` with what was seen of one batch, while the model holds ``params`` and copied buffers.

        Backward passes belong into ``work``: a checkpointed layer runs again in them.
        """
        held = {n: p for n, p in self.model.named_parameters() if n in set(self.fixed.layout.names)}
        return self.fixed.within(held if params is None else params, lambda: work(self._look(batch, change)))

    def _look(self, batch: Batch, change: Callable[[Tensor], Tensor] | None) -> Seen:
        inputs: list[Tensor] = []
        outputs: list[Tensor | None] = []

        def look(_module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
            inputs.extend(tensors_in((args, kwargs)))
            tensor = main_tensor(output)
            if change is None or tensor is None:
                outputs.append(tensor)
                return None
            changed = change(tensor)
            outputs.append(changed)
            return changed if isinstance(output, Tensor) else put_into(output, tensor, changed)

        torch.manual_seed(self.seed)  # a model that draws noise draws the same
        handle = self.model.register_forward_hook(look, with_kwargs=True)
        try:
            loss = self.step(self.model, batch.payload)
        finally:
            handle.remove()
        output = outputs[0] if len(outputs) == 1 else None
        return Seen(batch.payload, batch.size, tuple(inputs), output, loss)

    def perturbed(self, names: Sequence[str], seed: int) -> dict[str, Tensor]:
        """The parameters with noise half as large as they are, or as a usual initialization, on ``names``."""
        draw = torch.Generator().manual_seed(seed)
        params = {
            n: p.detach() for n, p in self.model.named_parameters() if n in set(self.fixed.layout.names)
        }
        for name in names:
            p = params[name]
            usual = (p[0].numel() if p.ndim > 1 else max(p.numel(), 1)) ** -0.5
            scale = 0.5 * max(float(p.double().square().mean().sqrt()), usual)
            params[name] = p + (scale * torch.randn(p.shape, generator=draw)).to(p)
        return params


def main_tensor(output: Any) -> Tensor | None:
    """The floating tensor with a dimension that a model gave back: its logits, if it gave several by name."""
    if isinstance(output, Mapping):
        named = output.get("logits")
        if isinstance(named, Tensor):
            return named
        output = list(output.values())
    found = [t for t in tensors_in(output) if t.is_floating_point() and t.ndim > 0]
    return found[0] if found else None


def put_into(output: Any, old: Tensor, new: Tensor) -> Any:
    """The same output with one tensor replaced; others are kept."""
    kind: Any = type(output)
    if isinstance(output, Mapping):
        return kind({k: new if v is old else v for k, v in output.items()})
    return kind(new if v is old else v for v in output)


def probe(case: Case) -> Probe | None:
    """The probe of a case; None where not one batch gets through."""

    def make() -> Probe | None:
        step = case.step or Stepwise.of_pairs(case.loss_fn).step
        try:
            found = Probe(case.model, step, case.read, case.seed)
            with found.quiet():
                found.see(found.batches[0])
        except (*COMPLAINTS, DiagkitError):
            return None
        return found

    return case.once("probe", make)
