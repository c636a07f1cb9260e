"""What a training run returns, what its observers are told, and how they end it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from diagkit.errors import InputError
from diagkit.result import Result
from diagkit.training.history import History

if TYPE_CHECKING:
    import pandas as pd


class StopTraining(Exception):  # noqa: N818 - a request, no error
    """Raised by a callback to end the run after the current step."""


@dataclass(frozen=True)
class StepInfo:
    """What a callback sees after each step.

    ``step`` and ``epoch`` count from 0; ``loss`` is that of the minibatch, before the step was taken.
    """

    step: int
    epoch: int
    loss: float
    model: nn.Module
    optimizer: torch.optim.Optimizer


@dataclass(frozen=True, eq=False, repr=False)
class TrainingRun(Result):
    """A run of :func:`train`: its history and the parameters that it passed through.

    Attributes
    ----------
    history : loss (of each minibatch, before its step), learning rate and gradient norm at every step.
    best_theta, final_theta : flat CPU copies of the trainable parameters [P], in the order of
        ``model.parameters()``, as an Objective of the same model takes them. Buffers are not in them.
    best_step : number of steps taken when ``best_theta`` was copied.
    best_loss : validation loss there (mean over the examples, evaluation mode); without validation data, the
        mean of the minibatch losses over that epoch. NaN if no epoch was finished with a finite loss.
    steps, epochs : optimizer steps taken, epochs completed.
    ended_by : "epochs", "max_steps", "callback", "non-finite loss" or "interrupted".
    """

    history: History
    best_theta: Tensor
    final_theta: Tensor
    best_step: int
    best_loss: float
    steps: int
    epochs: int
    ended_by: str

    def to_frame(self) -> pd.DataFrame:
        """The history as a table, one row per step."""
        return self.history.to_frame()

    def summary(self) -> dict[str, Any]:
        """Steps, first and last loss, the best point, and why the run ended."""
        facts = {name: value for name, value in self.history.summary().items() if name.startswith("loss")}
        best = {"best_loss": self.best_loss, "best_step": self.best_step}
        return {"steps": self.steps, "epochs": self.epochs} | facts | best | {"ended_by": self.ended_by}


def flat_parameters(parameters: Sequence[Tensor]) -> Tensor:
    """Flat detached CPU copy [P] of some parameters.

    Example
    -------
    >>> flat_parameters([torch.ones(2, 1), torch.zeros(1)])
    tensor([1., 1., 0.])
    """
    return torch.cat([p.detach().reshape(-1).cpu() for p in parameters]).clone()


class BestPoint:
    """Keeps the parameters with the lowest loss seen so far."""

    def __init__(self, parameters: Sequence[Tensor]) -> None:
        self._parameters = parameters
        self.theta: Tensor | None = None
        self.loss, self.step = float("nan"), 0

    def offer(self, loss: float, step: int) -> None:
        """Copy the parameters if ``loss`` is lower than any before; NaN never is."""
        if loss < (float("inf") if self.theta is None else self.loss):
            self.theta, self.loss, self.step = flat_parameters(self._parameters), loss, step


def as_list(callbacks: Any) -> list[Any]:
    """One callback, or several, as a list."""
    alone = callable(callbacks) or hasattr(callbacks, "on_step")
    return [callbacks] if alone else list(callbacks)


def as_observers(callbacks: list[Any]) -> list[Callable[[StepInfo], Any]]:
    """Callables, or objects with ``on_step``, as a list of functions of a StepInfo."""
    observers = []
    for callback in callbacks:
        observe = getattr(callback, "on_step", callback)
        if not callable(observe):
            raise InputError(
                f"a callback of type {type(callback).__name__}",
                allowed="a function of a StepInfo, or an object with on_step(info)",
                write="callbacks=[lambda info: info.loss < 0.1] (True ends the run)",
            )
        observers.append(observe)
    return observers


@contextmanager
def entered(callbacks: list[Any]) -> Iterator[None]:
    """Callbacks that are context managers are entered for the run, and left however it ends."""
    with ExitStack() as stack:
        for callback in callbacks:
            if hasattr(callback, "__enter__"):
                stack.enter_context(callback)
        yield
