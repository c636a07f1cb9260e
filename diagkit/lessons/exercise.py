"""The answer to an exercise, checked: right, not yet and why, or not answered."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from typing import Any

SIGNS = {True: "✓ right", False: "✗ not yet", None: "… no answer yet"}
EDGES = {True: "#009E73", False: "#D55E00", None: "#6B6B6B"}


@dataclass(frozen=True, repr=False)
class Checked:
    """What ``check(answer)`` returns. It never raises: a wrong answer is part of learning.

    Attributes
    ----------
    passed : None where nothing was answered yet. message : what is right about it, or what to look at.
    """

    passed: bool | None
    message: str

    def __repr__(self) -> str:
        return f"{SIGNS[self.passed]}: {self.message}"

    def _repr_html_(self) -> str:
        return (
            f'<div role="status" style="border-left:.5em solid {EDGES[self.passed]};padding:.4em .9em;'
            f'max-width:46em"><b>{SIGNS[self.passed]}</b>: {html.escape(self.message)}</div>'
        )


def right(message: str) -> Checked:
    """The answer passes; the message says why it is so.

    Example
    -------
    >>> right("2 / 25 = 0.08")
    ✓ right: 2 / 25 = 0.08
    """
    return Checked(True, message)


def wrong(message: str) -> Checked:
    """The answer does not pass; the message helps without giving the answer away."""
    return Checked(False, message)


def unanswered(message: str) -> Checked:
    """The cell was run as it stands; the message says what to write in place of ``None``."""
    return Checked(None, message)


def needs_number(answer: Any, what: str) -> Checked | None:
    """What is wrong with an answer that should be one finite number; None where it is one.

    Example
    -------
    >>> needs_number(None, "the largest stable rate")
    … no answer yet: write the largest stable rate in place of None, then run this cell again
    >>> needs_number("0.1", "the largest stable rate")
    ✗ not yet: a number is asked for (the largest stable rate), and this is a str
    >>> needs_number(0.1, "the largest stable rate") is None
    True
    """
    if answer is None:
        return unanswered(f"write {what} in place of None, then run this cell again")
    try:
        number = float(answer)
    except OverflowError:
        number = math.inf
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(answer, str | bool) or (number != number and not isinstance(answer, float)):
        return wrong(f"a number is asked for ({what}), and this is a {type(answer).__name__}")
    if not math.isfinite(number):
        return wrong(f"a finite number is asked for ({what}), and this is {number}")
    return None
