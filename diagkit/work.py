"""Long work is visible and stoppable: one watch over a call and everything below it.

Code that loops asks :func:`interrupted` and reports with :func:`progress`; whoever starts the work
decides with :func:`watching` how long it may take, how it is stopped and who hears of its progress.
A loop that is interrupted returns what it has, marked ``complete=False``.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from tqdm.auto import tqdm

ProgressListener = Callable[[str, int, int], None]  # (what, done, total)


@dataclass(frozen=True)
class Watch:
    """How long the work may take, how it is stopped, who hears of it."""

    deadline: float = float("inf")  # on the clock of time.monotonic
    stops: tuple[threading.Event, ...] = ()  # any of them ends the work
    listener: ProgressListener | None = None

    @property
    def is_stopped(self) -> bool:
        return any(stop.is_set() for stop in self.stops)


class StoppedError(Exception):
    """Work that ended before there was anything to return; whoever asked a question leaves it unanswered."""


_watch: ContextVar[Watch | None] = ContextVar("diagkit_watch", default=None)
# What the ranks of a process group agreed on; None where this process decides by itself.
_agreed: ContextVar[bool | None] = ContextVar("diagkit_agreed", default=None)
_inside: ContextVar[bool] = ContextVar("diagkit_inside_progress", default=False)


@contextmanager
def watching(
    *,
    budget: float | None = None,
    stop: threading.Event | None = None,
    listener: ProgressListener | None = None,
) -> Iterator[Watch]:
    """Watch the work inside: at most ``budget`` seconds, until ``stop`` is set.

    Watches nest: an inner one ends with the outer one at the latest, whatever it sets itself.

    Example
    -------
    >>> with watching(budget=0.0):
    ...     interrupted()
    True
    """
    outer = _watch.get() or Watch()
    deadline = outer.deadline if budget is None else min(outer.deadline, time.monotonic() + budget)
    stops = outer.stops if stop is None else (*outer.stops, stop)
    watch = Watch(deadline, stops, listener or outer.listener)
    token, agreed = _watch.set(watch), _agreed.set(None)
    try:
        yield watch
    finally:
        _agreed.reset(agreed)
        _watch.reset(token)


def interrupted() -> bool:
    """Has the time run out, or was the stop button pressed?

    Where several ranks work in lockstep, this is what they agreed on in their last sum: clocks differ, and a
    rank that stopped by its own would leave the others waiting.
    """
    agreed = _agreed.get()
    return interrupted_here() if agreed is None else agreed


def decide_together(stopped: bool | None) -> None:
    """From now on :func:`interrupted` answers ``stopped``; with None, by this process's own watch again."""
    _agreed.set(stopped)


def interrupted_here() -> bool:
    """Is it so for this process, whatever other ranks say?"""
    watch = _watch.get()
    return watch is not None and (watch.is_stopped or time.monotonic() >= watch.deadline)


def seconds_left() -> float:
    """Seconds until the deadline, ``inf`` where there is none, 0 after a stop."""
    watch = _watch.get()
    if watch is None:
        return float("inf")
    return 0.0 if watch.is_stopped else max(0.0, watch.deadline - time.monotonic())


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Yield ``advance(n)``. The listener is told, or a bar appears where the work outlasts two seconds."""
    watch = _watch.get()
    outermost = not _inside.get()
    token = _inside.set(True)
    try:
        with _advancing(what, total, watch, outermost) as advance:
            yield advance
    finally:
        _inside.reset(token)


@contextmanager
def _advancing(
    what: str, total: int, watch: Watch | None, outermost: bool
) -> Iterator[Callable[[int], None]]:
    if watch is not None and watch.listener is not None:
        listener, done = watch.listener, 0

        def advance(n: int = 1) -> None:
            nonlocal done
            done += n
            listener(what, done, total)

        listener(what, 0, total)
        yield advance
    else:
        # One bar, for the outermost loop of the first rank, and only where somebody watches: a terminal or a
        # notebook, unless tqdm's own switch is set, as for notebooks executed to compare their output.
        watched = sys.stderr.isatty() or "ipykernel" in sys.modules
        first = os.environ.get("RANK", "0") == "0"  # set by torchrun
        seen = watched and first and not os.environ.get("TQDM_DISABLE")
        with tqdm(desc=what, total=total, delay=2.0, leave=False, disable=not (seen and outermost)) as bar:

            def advance_bar(n: int = 1) -> None:
                bar.update(n)

            try:
                yield advance_bar
            finally:
                bar.total = bar.n  # a loop that was done early is done, not broken
