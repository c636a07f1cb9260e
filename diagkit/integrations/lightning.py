"""A callback for Lightning's Trainer: each step of it, as a History."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diagkit.errors import InputError, MissingPackageError
from diagkit.integrations.watch import Listener, Watch
from diagkit.training import History, history_of_records
from diagkit.training.recorder import gradient_norm
from diagkit.training.series_names import recognize

PENDING = 256  # values left on an accelerator before they are fetched together


class LightningRecord:
    """Keep one record per optimizer step; see :func:`lightning_callback`."""

    def __init__(self, every: int = 50, on_finding: Listener | None = None) -> None:
        if isinstance(every, bool) or not isinstance(every, (int, np.integer)) or every < 1:
            raise InputError(f"every={every!r}", allowed="an integer of 1 or more", write="every=50")
        self.every = int(every)
        self._watch = Watch(on_finding)
        self._optimizer: Any = None  # the first one that steps; it counts the steps
        self._steps = self._kept = 0
        self._records: list[dict[str, Any]] = []
        self._pending: list[tuple[dict[str, Any], str]] = []
        self._losses: list[Tensor] = []
        self._now: dict[str, Any] = {}

    @property
    def history(self) -> History:
        """Everything seen so far: ``loss``, ``lr``, ``grad_norm`` and ``val_loss``.

        Raises
        ------
        InputError : no step has been taken yet.
        """
        if not self._records:
            raise InputError(
                "a run that has not begun", allowed="a Trainer that was fitted with this callback"
            )
        self._fetch()
        return history_of_records(list(enumerate(self._records)), source="Lightning", place="record")

    def on_before_optimizer_step(self, trainer: Any, module: Any, optimizer: Any) -> None:
        """Called after backward and before clipping: the gradient as it is, the rate that this step uses."""
        if self._optimizer is None:
            self._optimizer = optimizer
        if optimizer is not self._optimizer:
            return
        self._now = {"step": self._steps, "lr": float(optimizer.param_groups[0]["lr"])}
        if self._steps % self.every == 0:
            self._put(self._now, "grad_norm", gradient_norm(module))
        self._steps += 1

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
        """Called with the loss of the batch; batches that share a step count as one, with their mean loss."""
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if isinstance(loss, Tensor):
            self._losses.append(loss.detach())
        if self._kept == self._steps or not self._losses:
            return  # gradients are still being accumulated
        loss = self._losses[0]
        if len(self._losses) > 1 or trainer.accumulate_grad_batches > 1:
            # Lightning has divided each loss by the number of batches that it meant to accumulate.
            loss = torch.stack(self._losses).mean() * trainer.accumulate_grad_batches
        self._put(self._now, "loss", loss)
        self._records.append(self._now)
        self._kept = self._steps
        self._losses.clear()
        self._watch.look(self._kept, lambda: self.history)

    def on_validation_end(self, trainer: Any, module: Any) -> None:
        """Called with the epoch's metrics; the check before training counts for nothing."""
        if not self._steps or trainer.sanity_checking:
            return
        for name, ours in recognize(trainer.callback_metrics).items():
            if ours == "val_loss":
                row: dict[str, Any] = {"step": self._steps - 1}
                self._put(row, "val_loss", trainer.callback_metrics[name].detach())
                self._records.append(row)

    def _put(self, row: dict[str, Any], name: str, value: Tensor | float) -> None:
        if isinstance(value, Tensor) and value.device.type != "cpu":
            row[name] = value
            self._pending.append((row, name))
            if len(self._pending) >= PENDING:
                self._fetch()
        else:
            row[name] = float(value)

    def _fetch(self) -> None:
        """Bring waiting values to the CPU, together: a training step then waits for nothing."""
        if self._pending:
            values = torch.stack([row[name].reshape(()).float() for row, name in self._pending]).tolist()
            for (row, name), value in zip(self._pending, values, strict=True):
                row[name] = value
            self._pending.clear()


@cache
def lightning_callback() -> type:
    """The class ``LightningCallback``: a Callback that keeps loss, rate and gradient norm as a History.

    ``LightningCallback(every=50, on_finding=None)``: the norm of the gradient is taken at every so many
    steps, before clipping. ``on_finding`` is called with the Report of :func:`diagkit.diagnose_history` when
    the log first shows a fault or goes flat. The callback reads what is there; it changes neither model nor
    optimizer and draws no random number. The validation loss is the one logged under a usual name.

    Raises
    ------
    MissingPackageError : neither lightning nor pytorch_lightning is installed.
    """
    for package in ("lightning.pytorch", "pytorch_lightning"):
        try:
            base = import_module(package).Callback
            break
        except ImportError:
            continue
    else:
        raise MissingPackageError("lightning", "trainers", "LightningCallback")
    members = {"__doc__": lightning_callback.__doc__, "__module__": "diagkit.integrations"}
    return type("LightningCallback", (LightningRecord, base), members)
