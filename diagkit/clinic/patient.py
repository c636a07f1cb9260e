"""A patient: a training run whose trouble is known, as one would hand it to a diagnosis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from diagkit.training import History

Half = Literal["development", "held-out"]
WELL = ("healthy", "still-improving", "converged")


@dataclass(frozen=True, eq=False)
class Patient:
    """Model, loss, data, optimizer and history of a run, and what is wrong with it.

    Attributes
    ----------
    name : as in :func:`diagkit.clinic.patient`. cause : id of what is wrong, "healthy" if nothing is.
    also : further ids that are right as well, such as a consequence of the cause.
    story : one or two sentences: what was done.
    half : "development" or "held-out"; rules are made on the first and judged on the second.
    data : (X, y) tensors, or a list of batches where ``step`` is given. val_data : likewise, or None.
    batch_size : of the training run; ``loader`` cuts the data so.
    optimizer, history : in the state in which the run ended; None where there was none.
    step : ``step(model, batch)`` -> loss, in place of ``loss_fn``. train_step : the loop's own, on this model
        and optimizer. scheduler : of the learning rate.
    """

    name: str
    cause: str
    story: str
    half: Half
    model: nn.Module
    loss_fn: Callable[..., Tensor] | None
    data: Any
    batch_size: int = 32
    optimizer: torch.optim.Optimizer | None = None
    history: History | None = None
    step: Callable[[nn.Module, Any], Tensor] | None = None
    train_step: Callable[[Any], Any] | None = None
    scheduler: Any = None
    val_data: Any = None
    also: tuple[str, ...] = ()
    seed: int = 0

    @property
    def is_well(self) -> bool:
        """Nothing to repair."""
        return self.cause in WELL

    @property
    def loader(self) -> Any:
        """The data as the training loop saw them: shuffled minibatches, unless they came cut."""
        if not isinstance(self.data, tuple):
            return self.data
        generator = torch.Generator().manual_seed(self.seed)
        return DataLoader(
            TensorDataset(*self.data), batch_size=self.batch_size, shuffle=True, generator=generator
        )

    def accepts(self, cause: str) -> bool:
        """Is this answer right? For a healthy run "converged" and "still-improving" are, too."""
        return cause in {self.cause, *self.also} or (self.cause == "healthy" and cause in WELL)

    def arguments(self) -> dict[str, Any]:
        """What ``dk.diagnose(**patient.arguments())`` needs."""
        return {
            "model": self.model,
            "loss_fn": self.loss_fn,
            "train_data": self.loader,
            "optimizer": self.optimizer,
            "history": self.history,
            "step": self.step,
            "train_step": self.train_step,
            "scheduler": self.scheduler,
            "val_data": self.val_data,
        }

    def __repr__(self) -> str:
        optimizer = type(self.optimizer).__name__ if self.optimizer is not None else "no optimizer"
        steps = len(self.history.step) if self.history is not None else 0
        return (
            f"Patient({self.name!r}: {type(self.model).__name__}, {optimizer}, {steps} logged steps, "
            f"seed {self.seed})"
        )
