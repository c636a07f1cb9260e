"""One step of training, one pass of validation."""

from __future__ import annotations

import inspect
import math
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from diagkit.errors import InputError
from diagkit.objective.batches import batch_size_of
from diagkit.objective.fixed_loss import call_model
from diagkit.objective.trace import same_random_state
from diagkit.training.recorder import Recorder
from diagkit.work import interrupted_here


class NonFiniteLoss(Exception):  # noqa: N818 - a signal to the loop, caught there
    """The loss is NaN or Inf, and the parameters have not seen it yet."""

    def __init__(self, loss: float) -> None:
        super().__init__(f"the loss is {loss}")
        self.loss = loss


class Stepper:
    """Forward, backward, record, update; batches follow the device and dtype of ``like``, a parameter."""

    def __init__(
        self,
        model: nn.Module,
        loss_fn: Callable[..., Tensor],
        optimizer: torch.optim.Optimizer,
        recorder: Recorder,
        like: Tensor,
        stop_on_non_finite: bool,
    ) -> None:
        self.model, self.loss_fn, self.optimizer, self.recorder = model, loss_fn, optimizer, recorder
        self.like, self.stop_on_non_finite = like, stop_on_non_finite
        closure = inspect.signature(optimizer.step).parameters.get("closure")
        # LBFGS evaluates the loss several times within one step; the others are given plain steps, so that
        # whatever hooks into optimizer.step finds the gradient of this batch.
        self.needs_closure = closure is not None and closure.default is inspect.Parameter.empty

    def step(self, inputs: Any, targets: Any) -> tuple[float, int]:
        """Loss of the batch before the step, and its number of examples."""
        inputs, targets = self._to_model(inputs), self._to_model(targets)
        recorded: list[float] = []

        def evaluate() -> Tensor:
            self.optimizer.zero_grad()
            loss = self._loss(inputs, targets)
            if not loss.requires_grad:
                raise InputError(
                    "a loss that does not depend on the trainable parameters by any differentiable path",
                    allowed="a loss computed with torch operations, without .item(), .detach() or no_grad",
                )
            value = float(loss.detach())
            if self.stop_on_non_finite and not math.isfinite(value):
                if not recorded:
                    self.recorder.log(loss=value, grad_norm=float("nan"))
                raise NonFiniteLoss(value)
            loss.backward()
            if not recorded:
                recorded.append(value)
                self.recorder.log(loss=value)
            return loss

        if self.needs_closure:
            self.optimizer.step(cast(Any, evaluate))
        else:
            evaluate()
            self.optimizer.step()
        return recorded[0], batch_size_of((inputs, targets))

    def validate(self, batches: Iterable[tuple[Any, Any]], seed: int) -> float | None:
        """Mean loss over the examples in evaluation mode; None if the work was interrupted on the way."""
        total, count = 0.0, 0
        with same_random_state(), same_modes(self.model), torch.no_grad():
            seed_all(seed)
            self.model.eval()
            for inputs, targets in batches:
                if interrupted_here():
                    return None
                inputs, targets = self._to_model(inputs), self._to_model(targets)
                size = batch_size_of((inputs, targets))
                total, count = total + float(self._loss(inputs, targets)) * size, count + size
        return total / count

    def _loss(self, inputs: Any, targets: Any) -> Tensor:
        loss = self.loss_fn(call_model(self.model, inputs), targets)
        if not isinstance(loss, Tensor) or loss.numel() != 1:
            shown = (
                f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"type {type(loss).__name__}"
            )
            raise InputError(
                f"a loss of {shown}",
                allowed="a scalar tensor, the mean over the examples",
                write="reduction='mean', or .mean() at the end of the loss",
            )
        return loss

    def _to_model(self, payload: Any) -> Any:
        real = (torch.float32, torch.float64)

        def move(x: Any) -> Any:
            x = torch.as_tensor(x) if isinstance(x, np.ndarray) else x
            if not isinstance(x, Tensor):
                return x
            follow = x.dtype in real and self.like.dtype in real
            return x.to(self.like.device, self.like.dtype if follow else x.dtype)

        return tree_map(move, payload)


@contextmanager
def same_modes(model: nn.Module) -> Iterator[None]:
    """Train/eval mode of each module is afterwards as before."""
    before = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


def seed_all(seed: int) -> None:
    """Start Python's, NumPy's and torch's generators at ``seed``; the caller keeps what they were."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002
    torch.manual_seed(seed)
