"""Numbers that callers choose: each is checked once, with an error that names it."""

from __future__ import annotations

from typing import Any

import numpy as np

from diagkit.errors import InputError

NUMBER = (int, float, np.integer, np.floating)


def check_positive(name: str, value: Any, write: str = "", optional: bool = False) -> None:
    """A finite number above zero.

    Example
    -------
    >>> check_positive("tol", -1)
    Traceback (most recent call last):
    ...
    diagkit.errors.InputError: got tol = -1; allowed: a positive, finite number
    """
    if optional and value is None:
        return
    if isinstance(value, NUMBER) and not isinstance(value, bool) and np.isfinite(value) and value > 0:
        return
    allowed = "a positive, finite number" + (", or None" if optional else "")
    raise InputError(f"{name} = {value!r}", allowed=allowed, write=f"{name}={write}" if write else "")


def check_count(name: str, value: Any, least: int = 1, write: str = "", optional: bool = False) -> None:
    """An integer of ``least`` or more.

    Example
    -------
    >>> check_count("groups", 2.5, least=4)
    Traceback (most recent call last):
    ...
    diagkit.errors.InputError: got groups = 2.5; allowed: an integer of 4 or more
    """
    if optional and value is None:
        return
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and value >= least:
        return
    allowed = f"an integer of {least} or more" + (", or None" if optional else "")
    raise InputError(f"{name} = {value!r}", allowed=allowed, write=f"{name}={write}" if write else "")


def check_seed(value: Any) -> None:
    """A seed that Python, NumPy and torch all take: 0 <= seed < 2^32."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool) and 0 <= value < 1 << 32:
        return
    raise InputError(f"seed = {value!r}", allowed="an integer, 0 <= seed < 2**32", write="seed=0")
