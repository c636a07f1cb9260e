"""Write down one step of anyone's training loop, and leave no trace in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from diagkit.errors import InputError
from diagkit.training.history import History
from diagkit.training.series_names import is_validation

PENDING = 256  # values left on an accelerator before they are fetched together


class Recorder:
    r"""Record loss, learning rate and gradient norm, one call per step.

    Call :meth:`log` after ``loss.backward()`` and before the next ``zero_grad()``; before or after
    ``optimizer.step()`` makes no difference. A scheduler that steps first has already changed the learning
    rate that is read here. The gradient norm is :math:`\|g\|_2` over all parameters that have a ``.grad``, as
    it stands at the call (clipped if it was clipped, scaled if a loss scaler is at work).

    No hook is installed, nothing is written to the model or the optimizer, no random number is drawn. On an
    accelerator the values stay there until they are asked for, so that a call waits for nothing.

    Parameters
    ----------
    model : the module that is trained.
    optimizer : its optimizer, read for the learning rate of each parameter group.
    every : measure the gradient norm at every so many steps (NaN between).

    Example
    -------
    >>> model = nn.Linear(2, 1)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> recorder = Recorder(model, optimizer)
    >>> for _ in range(3):
    ...     optimizer.zero_grad()
    ...     loss = model(torch.ones(4, 2)).square().mean()
    ...     loss.backward()
    ...     optimizer.step()
    ...     recorder.log(loss=loss)
    >>> recorder.log(val_loss=0.5)
    >>> history = recorder.history
    >>> history.num_steps, history.lr, history.val_step
    (3, array([0.1, 0.1, 0.1]), array([2.]))
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, *, every: int = 1) -> None:
        if not isinstance(model, nn.Module):
            raise InputError(
                f"model of type {type(model).__name__}",
                allowed="a torch.nn.Module, then its optimizer",
                write="Recorder(model, optimizer)",
            )
        if not hasattr(optimizer, "param_groups"):
            raise InputError(
                f"optimizer of type {type(optimizer).__name__}",
                allowed="an optimizer with param_groups",
                write="Recorder(model, optimizer)",
            )
        if isinstance(every, bool) or not isinstance(every, (int, np.integer)) or every < 1:
            raise InputError(f"every={every!r}", allowed="an integer of 1 or more", write="every=1")
        self.model, self.optimizer, self.every = model, optimizer, int(every)
        self._rows: list[dict[str, Any]] = []
        self._validations: dict[int, dict[str, Any]] = {}
        self._early: dict[str, Any] = {}  # logged before the first step
        self._pending: list[tuple[dict[str, Any], str]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"Recorder({type(self.model).__name__}, steps={len(self)})"

    def log(self, loss: Any = None, *, val_loss: Any = None, step: int | None = None, **other: Any) -> None:
        """Begin a new step with its ``loss``, or, without ``loss``, add to the current one.

        Parameters
        ----------
        loss : scalar training loss of the step, a tensor or a number.
        val_loss : scalar validation loss, placed at the current step (0 before the first one). A second one
            at the same step replaces it.
        step : the step's own number, where not every step is logged; larger than the last one.
        other : further scalars; those named ``val_...`` are placed with the validation loss. ``grad_norm``
            and ``lr`` given here replace what would be measured.

        Raises
        ------
        InputError : nothing given, a value that is not a scalar, a step that does not increase.
        """
        values = {name: _scalar(value, name) for name, value in other.items() if value is not None}
        if "val_step" in values:
            raise InputError("log(val_step=...)", allowed="other names: validations lie at the current step")
        loss, val_loss = _scalar(loss, "loss"), _scalar(val_loss, "val_loss")
        if loss is None and val_loss is None and not values:
            raise InputError("log() without a value", allowed="loss=..., val_loss=... or further scalars")
        if loss is not None:
            self._begin(step)
            self._put(self._rows[-1], "loss", loss)
            self._measure(values)
        elif step is not None and (not self._rows or step != self._rows[-1]["step"]):
            raise InputError(f"step={step!r} without loss", allowed="step together with loss=...")
        now = self._rows[-1] if self._rows else self._early
        at_validation = {name: value for name, value in values.items() if is_validation(name)}
        if val_loss is not None:
            at_validation["val_loss"] = val_loss
        if at_validation:
            at = self._validations.setdefault(now["step"] if self._rows else 0, {})
            for name, value in at_validation.items():
                self._put(at, name, value)
        for name, value in values.items():
            if name not in at_validation:
                self._put(now, name, value)
        if len(self._pending) >= PENDING:
            self._fetch()

    @property
    def history(self) -> History:
        """Everything logged so far."""
        self._fetch()
        rows, at = self._rows, dict(sorted(self._validations.items()))
        first_lr = [row.get("lr", np.nan) for row in rows]
        series: dict[str, np.ndarray] = {"step": np.array([row["step"] for row in rows], dtype=np.float64)}
        for name in dict.fromkeys(name for row in rows for name in row):
            column = [row.get(name, np.nan) for row in rows]
            if name.startswith("lr_") and column == first_lr:
                continue  # a further group with the same learning rate says nothing new
            series[name] = np.array(column, dtype=np.float64)
        if at:
            series["val_step"] = np.array(list(at), dtype=np.float64)
            for name in dict.fromkeys(name for values in at.values() for name in values):
                series[name] = np.array([values.get(name, np.nan) for values in at.values()])
        bad = next((row for row in rows if not np.isfinite(row["loss"])), None)
        notes = () if bad is None else (f"the loss is {bad['loss']} at step {bad['step']}",)
        return History(
            series, source="recorder", notes=notes, first_non_finite=None if bad is None else bad["step"]
        )

    def _begin(self, step: int | None) -> None:
        last = self._rows[-1]["step"] if self._rows else -1
        if step is None:
            step = last + 1
        elif isinstance(step, bool) or not isinstance(step, (int, np.integer)) or step <= last:
            raise InputError(
                f"step={step!r} after step {last}" if self._rows else f"step={step!r}",
                allowed="whole numbers from 0 on that increase",
                write="no step at all: it is counted from 0",
            )
        self._rows.append({"step": int(step)} | self._early)
        self._early = {}

    def _measure(self, given: dict[str, Any]) -> None:
        row = self._rows[-1]
        for i, group in enumerate(self.optimizer.param_groups):
            name = f"lr_{i}" if i else "lr"
            if name not in given:
                self._put(row, name, _scalar(group.get("lr", float("nan")), name))
        if "grad_norm" not in given:
            due = (len(self._rows) - 1) % self.every == 0
            self._put(row, "grad_norm", gradient_norm(self.model) if due else float("nan"))

    def _put(self, row: dict[str, Any], name: str, value: Any) -> None:
        row[name] = value
        if isinstance(value, Tensor):
            self._pending.append((row, name))

    def _fetch(self) -> None:
        """Bring waiting values to the CPU, one transfer per device."""
        waiting = [(row, name) for row, name in self._pending if isinstance(row.get(name), Tensor)]
        for device in {row[name].device for row, name in waiting}:
            here = [(row, name) for row, name in waiting if row[name].device == device]
            # MPS has no float64; float32 holds what the losses there can hold.
            wide = torch.float32 if device.type == "mps" else torch.float64
            for (row, name), value in zip(
                here, torch.stack([row[name].to(wide) for row, name in here]).tolist(), strict=True
            ):
                row[name] = value
        self._pending.clear()


@torch.no_grad()
def gradient_norm(model: nn.Module) -> Tensor | float:
    """Euclidean norm of ``.grad`` over all parameters; NaN if none has one.

    Example
    -------
    >>> gradient_norm(nn.Linear(2, 1))
    nan
    """
    gradients = []
    for p in model.parameters():
        if p.grad is not None:
            grad = p.grad.coalesce().values() if p.grad.is_sparse else p.grad
            # the squares of half-precision entries overflow long before the entries do
            gradients.append(grad.float() if grad.dtype in (torch.float16, torch.bfloat16) else grad)
    if not gradients:
        return float("nan")
    norms = torch._foreach_norm(gradients, 2.0)
    norm = torch.linalg.vector_norm(torch.stack([n.to(norms[0].device) for n in norms]))
    return float(norm) if norm.device.type == "cpu" else norm


def _scalar(value: Any, name: str) -> Tensor | float | None:
    """A number, or a private copy of a scalar on an accelerator (the loop may change its own in place)."""
    if value is None:
        return None
    if isinstance(value, Tensor):
        if value.numel() == 1 and not value.is_complex() and not value.is_meta:
            value = value.detach().reshape(())
            return float(value) if value.device.type == "cpu" else value.clone()
        given = f"{name} of shape {tuple(value.shape)} and dtype {value.dtype}"
    else:
        try:
            if not isinstance(value, (str, bytes)) and np.size(value) == 1:
                return float(np.asarray(value, dtype=np.float64).reshape(()))
        except (TypeError, ValueError):
            pass
        given = f"{name} of type {type(value).__name__}"
    raise InputError(given, allowed="a scalar", write=f"{name}={name}.mean()")
