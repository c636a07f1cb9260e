"""Log records, one per logging call, put together to the series of one run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from diagkit.errors import InputError
from diagkit.training.history import History
from diagkit.training.series_names import is_validation, plain, recognize

MISSING = {"", "none", "null", "na", "n/a", "<na>", "-"}
SHOWN = 8  # places named in one note

Records = Sequence[tuple[int, Mapping[str, Any]]]  # (line number, name -> value)


def history_of_records(
    records: Records, *, source: str, place: str = "line", notes: Sequence[str] = ()
) -> History:
    """Merge records into per-step series.

    Where a series goes back to an earlier step, the run was resumed there: what it had written from that step
    on is replaced. Where steps start again with each epoch, or are not logged at all, the training records
    are counted; a validation record lies at the step before it.

    Parameters
    ----------
    records : pairs of a line number and a dict of values; text that spells a number is one, and a loss that
        is spelled "nan" or "inf" was recorded as such.
    source, place : where the records come from, and what its lines are called in the notes.

    Raises
    ------
    InputError : no record holds a number.

    Example
    -------
    >>> rows = [{"step": 0, "loss": "2.5"}, {"step": 5, "loss": "nan"}, {"step": 5, "eval_loss": 2}]
    >>> history = history_of_records(list(enumerate(rows)), source="log", place="record")
    >>> history.step, history.first_non_finite, history.val_step, history.val_loss
    (array([0., 5.]), 5, array([5.]), array([2.]))
    """
    rows, notes = _numeric(records, place, list(notes))
    if not any(name not in ("step", "val_step") for _, row in rows for name in row):
        raise InputError(
            f"{source} without a series of numbers" + (f" ({'; '.join(notes)})" if notes else ""),
            allowed="records with named numbers, such as step, loss, lr, grad_norm, val_loss",
        )
    steps = _steps(rows, place, notes)
    series: dict[str, dict[int, float]] = {}  # name -> step -> value, steps increasing
    axis: set[int] = set()
    replaced: dict[str, list[int]] = {}
    for (_, row), step in zip(rows, steps, strict=True):
        values = {name: value for name, value in row.items() if name not in ("step", "val_step")}
        if step is None or not values:
            continue
        beside = "loss" not in row and any(map(is_validation, row))  # a record of a validation
        if not beside:
            axis.add(step)
        for name, value in values.items():
            column = series.setdefault(name, {})
            if column and next(reversed(column)) >= step:
                if beside and not is_validation(name):
                    continue  # the epoch, say, which the training records know as well
                later = [s for s in column if s >= step]
                if later != [step] or not _same(column[step], value):
                    replaced.setdefault(name, []).extend(later)
                for s in later:
                    del column[s]
            column[step] = value
    _note_replaced(replaced, notes)
    validation = {name: column for name, column in series.items() if is_validation(name)}
    training = {name: column for name, column in series.items() if name not in validation}
    axis = {step for step in axis if any(step in column for column in training.values())}
    if not axis:  # nothing but validations
        axis = {step for column in validation.values() for step in column}
    return _assemble(training, validation, sorted(axis), source, notes)


def _assemble(
    training: Mapping[str, Mapping[int, float]],
    validation: Mapping[str, Mapping[int, float]],
    axis: list[int],
    source: str,
    notes: list[str],
) -> History:
    arrays = {"step": np.array(axis, dtype=np.float64)}
    for name, column in training.items():
        values = [column.get(step, math.nan) for step in axis]
        if any(step in column for step in axis):
            arrays[name] = np.array(values, dtype=np.float64)
    if validation:
        at = sorted({step for column in validation.values() for step in column})
        arrays["val_step"] = np.array(at, dtype=np.float64)
        for name, column in validation.items():
            arrays[name] = np.array([column.get(step, math.nan) for step in at])
    first = min((s for s, v in training.get("loss", {}).items() if not math.isfinite(v)), default=None)
    if first is not None:
        notes.append(f"the loss is {training['loss'][first]} at step {first}")
    return History(arrays, source=source, notes=tuple(notes), first_non_finite=first)


def _numeric(
    records: Records, place: str, notes: list[str]
) -> tuple[list[tuple[int, dict[str, float]]], list[str]]:
    """Rows of numbers under our names; what is not a number is noted."""
    names = list(dict.fromkeys(name for _, record in records for name in record))
    known = recognize(names)
    rows: list[tuple[int, dict[str, float]]] = []
    odd: dict[str, list[str]] = {}
    good: set[str] = set()
    for line, record in records:
        row: dict[str, float] = {}
        for name, value in record.items():
            if value is None or (isinstance(value, str) and value.strip().lower() in MISSING):
                continue
            number = parse_number(value)
            if number is None:
                odd.setdefault(name, []).append(f"{place} {line}: {str(value)[:20]!r}")
            else:
                row[known[name]] = number
                good.add(name)
        rows.append((line, row))
    for name in good & {name for name, ours in known.items() if ours == "loss" and plain(name) == "value"}:
        notes.append(f"{name!r} was read as the loss")  # any scalar may be called so
    without = [name for name in odd if name not in good]
    if without:
        notes.append(f"left out, no numbers: {', '.join(map(repr, without))}")
    for name in odd.keys() & good:
        notes.append(f"{name!r} is not a number at {named(odd[name])}")
    return rows, notes


def parse_number(value: Any) -> float | None:
    """A number, or text that spells one; None otherwise.

    Example
    -------
    >>> parse_number("1e-3"), parse_number("NaN"), parse_number("adam"), parse_number([1])
    (0.001, nan, None, None)
    """
    if isinstance(value, str) and "_" in value:  # float() would read "1_000"
        return None
    try:
        return float(value) if isinstance(value, (str, int, float, np.number)) else None
    except (ValueError, OverflowError):
        return None


def _steps(rows: list[tuple[int, dict[str, float]]], place: str, notes: list[str]) -> list[int | None]:
    """Where each row lies; None for a row that has no place."""
    has_loss = any("loss" in row for _, row in rows)
    counts = not any("step" in row for _, row in rows) or _restarts_with_epoch(rows)
    if counts and any("step" in row for _, row in rows):
        notes.append("steps start again with each epoch: the training records were counted instead")
    steps: list[int | None] = []
    lost, last = [], -1
    for line, row in rows:
        step = row.get("step")
        if counts:
            last += not has_loss or "loss" in row
            steps.append(max(last, 0) if row else None)
        elif step is not None and math.isfinite(step) and step == math.floor(step):
            last = int(step)
            steps.append(last)
        elif step is None and "loss" not in row and last >= 0:
            steps.append(last)  # written beside the step before it
        else:
            steps.append(None)
            if row:
                lost.append(f"{place} {line}")
    if lost:
        notes.append(f"left out, no whole step: {named(lost)}")
    if all(step is None for step in steps):
        raise InputError(
            "steps that are not whole numbers", allowed="steps that count 0, 1, 2, ... or none at all"
        )
    return steps


def _restarts_with_epoch(rows: list[tuple[int, dict[str, float]]]) -> bool:
    """Does the step fall back just where the epoch grows? Then it counts within the epoch."""
    seen = [
        (row["epoch"], row["step"]) for _, row in rows if "epoch" in row and "step" in row and "loss" in row
    ]
    return any(b[0] > a[0] and b[1] < a[1] for a, b in pairwise(seen))


def _same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


def _note_replaced(replaced: Mapping[str, list[int]], notes: list[str]) -> None:
    steps = sorted({s for column in replaced.values() for s in column})
    if steps:
        span = f"step {steps[0]}" if len(steps) == 1 else f"steps {steps[0]} to {steps[-1]}"
        notes.append(
            f"{span} were written more than once ({', '.join(sorted(replaced))}): the last ones are used"
        )


def named(places: Sequence[str]) -> str:
    """The first few places, and how many there are.

    Example
    -------
    >>> named(["line 3", "line 7"])
    'line 3, line 7'
    """
    more = len(places) - SHOWN
    return ", ".join(places[:SHOWN]) + (f" and {more} more" if more > 0 else "")
