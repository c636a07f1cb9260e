"""What a training run left behind: per-step series, and where they came from."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from os import PathLike
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from diagkit.errors import InputError
from diagkit.result import Result
from diagkit.training.alignment import check_lengths, check_steps, first_non_finite, place_validation
from diagkit.training.series import as_series, frozen
from diagkit.training.series_names import is_validation, recognize

if TYPE_CHECKING:
    import pandas as pd

ALLOWED = "a dict of series, such as {'loss': [...], 'lr': [...], 'val_step': [...], 'val_loss': [...]}"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class History(Result):
    """Series of one run: ``loss[t]``, ``lr[t]``, ... at ``step[t]``, t = 0 .. T-1.

    Attributes
    ----------
    series : read-only mapping from name to float64 array. Per-step series have shape [T] and hold NaN where
        nothing was logged; ``val_step`` and the validation series have a length [V] of their own.
    source : "dict", "recorder", "train", or the path of a log file.
    notes : damage and oddities, in words.
    first_non_finite : first step at which a loss was recorded as NaN or Inf; None if there is none. It
        speaks of the whole run, also in a :meth:`tail`.

    Example
    -------
    >>> history = History.from_dict({"loss": [2.0, 1.0, 0.5], "val_step": [2], "val_loss": [0.7]})
    >>> history
    History(steps=3, loss_first=2, loss_last=0.5, val_loss_best=0.7)
    >>> history.step, history.lr
    (array([0., 1., 2.]), None)
    """

    series: Mapping[str, np.ndarray]
    source: str = "dict"
    notes: tuple[str, ...] = ()
    first_non_finite: int | None = None

    def __post_init__(self) -> None:
        own = {name: frozen(values) for name, values in self.series.items()}
        object.__setattr__(self, "series", MappingProxyType(own))

    def __reduce__(self) -> tuple[Any, ...]:  # a mapping proxy cannot be pickled or deep-copied
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return _rebuild, (fields | {"series": dict(self.series)},)

    @classmethod
    def from_dict(cls, series: Mapping[str, Any]) -> History:
        """Build a history from series that were collected by hand.

        Per-step series share one length [T]; ``step`` may be left out (0 .. T-1). ``val_loss`` [V] lies at
        ``val_step`` [V]; without ``val_step`` it must have the length T and may hold NaN between validations.
        None and NaN mean that nothing was logged, with two exceptions in ``loss`` that set
        ``first_non_finite``: an Inf, and NaN in two or more last entries, when no earlier gap was as long.

        Raises
        ------
        InputError : not a dict, nothing in it, series that are not numbers, different lengths, ``val_loss``
            without a place, steps that do not increase.

        Example
        -------
        >>> History.from_dict({"loss": [2.0, 1.0, float("nan"), float("nan")]}).first_non_finite
        2
        >>> History.from_dict({"loss": [2.0, 1.0], "lr": [0.1]})  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        diagkit.errors.InputError: got series of different lengths: loss 2, lr 1; ...
        """
        if not isinstance(series, Mapping):
            raise InputError(
                f"a history of type {type(series).__name__}", allowed=ALLOWED, write="{'loss': [...]}"
            )
        odd = [name for name in series if not isinstance(name, str)]
        if odd:
            raise InputError(f"a series named {odd[0]!r}", allowed="names that are text", write="'loss'")
        known = recognize(series)
        notes = [f"{name!r} was read as {ours!r}" for name, ours in known.items() if name != ours]
        read = {known[name]: as_series(values, name) for name, values in series.items() if values is not None}
        arrays = {name: values for name, (values, _) in read.items()}
        if not any(values.size for values in arrays.values()):
            raise InputError("an empty history", allowed=ALLOWED + " with at least one entry")
        arrays = place_validation(arrays)
        check_lengths(arrays, set(read))
        for name in ("step", "val_step"):
            if name in arrays:
                check_steps(name, arrays[name])
        first = None
        if "loss" in arrays:
            at = first_non_finite(arrays["loss"], read["loss"][1], shortest=2)
            if at is not None:
                first = int(arrays["step"][at])
                notes.append(f"the loss is {arrays['loss'][at]} at step {first}")
        return cls(arrays, notes=tuple(notes), first_non_finite=first)

    @property
    def step(self) -> np.ndarray:
        """Steps of the per-step series, [T]."""
        return self.series["step"]

    @property
    def loss(self) -> np.ndarray | None:
        """Training loss [T], in the unit of the loss function."""
        return self.series.get("loss")

    @property
    def lr(self) -> np.ndarray | None:
        """Learning rate of the first parameter group [T]."""
        return self.series.get("lr")

    @property
    def grad_norm(self) -> np.ndarray | None:
        """Euclidean norm of the gradient over all parameters [T]."""
        return self.series.get("grad_norm")

    @property
    def val_step(self) -> np.ndarray | None:
        """Steps of the validation series, [V]."""
        return self.series.get("val_step")

    @property
    def val_loss(self) -> np.ndarray | None:
        """Validation loss [V]."""
        return self.series.get("val_loss")

    @property
    def num_steps(self) -> int:
        """T, the number of rows; less than the steps of the run where not every step was logged."""
        return len(self.step)

    def tail(self, fraction: float = 0.5) -> History:
        """The last ``fraction`` of the rows (at least one), and the validation records among them.

        Example
        -------
        >>> History.from_dict({"loss": [4.0, 3.0, 2.0, 1.0]}).tail(0.5).loss
        array([2., 1.])
        """
        if not 0.0 < fraction <= 1.0:
            raise InputError(f"fraction={fraction!r}", allowed="0 < fraction <= 1", write="fraction=0.5")
        start = self.num_steps - math.ceil(fraction * self.num_steps)
        begin = self.step[start] if self.num_steps else -np.inf
        keep = {
            name: values[self.series["val_step"] >= begin] if name in self._validation() else values[start:]
            for name, values in self.series.items()
        }
        return dataclasses.replace(self, series=keep)

    def to_frame(self) -> pd.DataFrame:
        """One row per step, a column per series; NaN where a series has no entry at that step."""
        import pandas as pd

        own = self._validation()
        frame = pd.DataFrame({name: values for name, values in self.series.items() if name not in own})
        if own:
            beside = pd.DataFrame({name: self.series[name] for name in own}).rename(
                columns={"val_step": "step"}
            )
            frame = frame.merge(beside, on="step", how="outer").sort_values("step", ignore_index=True)
        return frame.astype({"step": "int64"})

    def summary(self) -> dict[str, Any]:
        """Length, first and last loss, best validation loss, and what went wrong."""
        facts: dict[str, Any] = {"steps": self.num_steps}
        if self.loss is not None and np.isfinite(self.loss).any():
            logged = self.loss[~np.isnan(self.loss)]
            facts |= {"loss_first": logged[0], "loss_last": logged[-1]}
        if self.val_loss is not None and np.isfinite(self.val_loss).any():
            facts["val_loss_best"] = np.nanmin(self.val_loss)
        if self.first_non_finite is not None:
            facts["first_non_finite"] = self.first_non_finite
        return facts | ({"notes": len(self.notes)} if self.notes else {})

    def _validation(self) -> list[str]:
        """Names of the series that lie at ``val_step``, itself among them."""
        if self.val_step is None:
            return []
        size = len(self.val_step)
        return [n for n, v in self.series.items() if n == "val_step" or (is_validation(n) and len(v) == size)]


def _rebuild(fields: dict[str, Any]) -> History:
    return History(**fields)


def as_history(given: Any) -> History | None:
    """Read whatever a user may hold as a history; None stays None.

    A History, a dict of series, a plain list, tuple, array or tensor of losses, a list of log records (one
    dict each), a table with named columns, the path of a log file, or anything that carries a ``history``:
    a Recorder, a TrainingRun. In a plain list every entry was logged, so that one NaN at its end counts.

    Raises
    ------
    InputError : anything else, and whatever :meth:`History.from_dict` or :func:`read_history` refuses.

    Example
    -------
    >>> as_history([2.0, 1.0, float("nan")]).first_non_finite, as_history(None)
    (2, None)
    """
    if given is None or isinstance(given, History):
        return given
    if isinstance(given, Mapping):
        return History.from_dict(given)
    if isinstance(given, (str, PathLike)):
        from diagkit.training.log_files import read_history

        return read_history(given)
    if hasattr(given, "columns") and hasattr(given, "to_dict"):
        return History.from_dict(given.to_dict("list"))
    if hasattr(given, "history"):
        return as_history(given.history)
    if isinstance(given, (list, tuple)) and given and all(isinstance(row, Mapping) for row in given):
        from diagkit.training.records import history_of_records

        return history_of_records(list(enumerate(given)), source="records", place="record")
    if isinstance(given, Iterable) and not isinstance(given, (bytes, set, frozenset)):
        losses, missing = as_series(given, "loss")
        history = History.from_dict({"loss": losses})
        at = first_non_finite(losses, missing, shortest=1)
        if at is None or at == history.first_non_finite:
            return history
        return dataclasses.replace(
            history, first_non_finite=at, notes=(f"the loss is {losses[at]} at step {at}",)
        )
    raise InputError(
        f"a history of type {type(given).__name__}",
        allowed=f"{ALLOWED}; a list of losses, a Recorder, a TrainingRun, a path, or None",
        write="history={'loss': losses}",
    )
