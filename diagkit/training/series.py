"""One series of numbers from whatever people collect them in."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from diagkit.errors import InputError

ALLOWED = "a list, tuple, array or tensor of real numbers, with None where nothing was logged"


def as_series(values: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Copy ``values`` [T] to float64; also return which entries were None [T] (NaN in the copy).

    Tensors may need a gradient or live on another device, also one by one inside a list.

    Raises
    ------
    InputError : text, more than one axis, complex numbers, or an entry that is not a number.

    Example
    -------
    >>> as_series([torch.tensor(0.5, requires_grad=True), None, 2], "loss")
    (array([0.5, nan, 2. ]), array([False,  True, False]))
    """
    if isinstance(values, torch.Tensor):
        values = _to_array(values, name)
    elif hasattr(values, "to_numpy"):  # a pandas column: its missing values become NaN
        values = np.asarray(values)
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise InputError(
            f"{name} of type {type(values).__name__}", allowed=ALLOWED, write=f"{name!r}: [0.9, 0.8, ...]"
        )
    if isinstance(values, np.ndarray) and values.ndim != 1:
        raise InputError(
            f"{name} of shape {values.shape}",
            allowed="one number per step, shape (T,)",
            write=f"{name}.ravel() or its mean over the other axes",
        )
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiub":
        return values.astype(np.float64), np.zeros(len(values), dtype=bool)
    items = list(values)
    missing = np.array([_is_missing(item) for item in items], dtype=bool)
    series = np.array([np.nan if gone else _number(item, name, i) for i, (item, gone) in
                       enumerate(zip(items, missing, strict=True))], dtype=np.float64)  # fmt: skip
    return series, missing


def _is_missing(item: Any) -> bool:
    return item is None or type(item).__name__ in ("NAType", "NaTType")


def _to_array(values: torch.Tensor, name: str) -> np.ndarray:
    if values.is_complex() or values.is_meta:
        raise InputError(f"{name} as a {values.dtype} tensor on {values.device}", allowed=ALLOWED)
    return values.detach().to("cpu", torch.float64).numpy()


def _number(item: Any, name: str, place: int) -> float:
    if isinstance(item, (torch.Tensor, np.ndarray)):
        array = _to_array(item, name) if isinstance(item, torch.Tensor) else item
        if array.size == 1 and array.dtype.kind in "fiub":
            return float(array.reshape(()))
    elif isinstance(item, (numbers.Real, np.number, np.bool_)) and not isinstance(item, np.complexfloating):
        return float(item)
    shown = f"a {type(item).__name__} of shape {tuple(item.shape)}" if hasattr(item, "shape") else repr(item)
    raise InputError(f"{name}[{place}] = {shown}", allowed=ALLOWED, write="float(...) of each entry")


def frozen(values: np.ndarray) -> np.ndarray:
    """A read-only float64 copy: nobody changes a Result by accident."""
    copy = np.array(values, dtype=np.float64)
    copy.setflags(write=False)
    return copy
