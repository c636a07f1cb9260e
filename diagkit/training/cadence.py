"""How often can something costly be done beside training, so that it takes a given share of its time?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Cadence:
    r"""Spreads work over a run so that it takes at most ``share`` of the time that the run itself takes.

    The first call is due at once. After that, work is due when training has gone on

    - since the last work for as long as cost / share, where cost is what the last one took, and
    - in all for so long that what was spent, and as much again as the last one took, stays below ``share`` of
      it.

    So when work begins again everything so far, itself foreseen, is within the share; only a run that is over
    before that has spent more, on its first work. A pause between steps lets one work through, not many.

    Parameters
    ----------
    share : 0.05 for 5 %. clock : seconds; time between two calls of :meth:`is_due` counts as training, except
        inside :meth:`working`.

    Example
    -------
    >>> now = [0.0]
    >>> cadence, due_at = Cadence(0.05, clock=lambda: now[0]), []
    >>> for step in range(100):  # a step takes 1 s, the work 0.5 s
    ...     now[0] += 1.0
    ...     if cadence.is_due():
    ...         due_at.append(step)
    ...         with cadence.working():
    ...             now[0] += 0.5
    >>> due_at, round(cadence.spent / cadence.training, 3)
    ([0, 20, 30, 40, 50, 60, 70, 80, 90], 0.045)
    """

    def __init__(self, share: float = 0.05, clock: Callable[[], float] = time.perf_counter) -> None:
        self.share, self.clock = share, clock
        self.training = self.spent = 0.0
        self._since = self._cost = 0.0
        self._left: float | None = None  # when training was last left alone

    def is_due(self) -> bool:
        """Call once after each step."""
        now = self.clock()
        if self._left is None:
            self._left = now
            return True
        self.training, self._since, self._left = (
            self.training + now - self._left,
            self._since + now - self._left,
            now,
        )
        return (
            self._since * self.share >= self._cost and self.training * self.share >= self.spent + self._cost
        )

    @contextmanager
    def working(self) -> Iterator[None]:
        """What is done inside is counted as work and not as training."""
        started = self.clock()
        if self._left is not None:  # what is between is_due and here: a device that catches up
            self.training += started - self._left
        try:
            yield
        finally:
            self._left = self.clock()
            self._cost, self._since = self._left - started, 0.0
            self.spent += self._cost
