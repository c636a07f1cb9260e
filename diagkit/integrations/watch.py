"""What the callbacks share: the record of a run, and a look at it every so many entries."""

from __future__ import annotations

from collections.abc import Callable

from diagkit.diagnosis import Report, diagnose_history
from diagkit.errors import InputError
from diagkit.training import History

Listener = Callable[[Report], object]


class Watch:
    """Look at a growing history when its length has doubled; tell of each fault, and of a curve gone flat.

    Looking costs more the longer the log is; at lengths that double, all looks together cost what two cost at
    the end.

    Example
    -------
    >>> heard = []
    >>> watch = Watch(lambda report: heard.append(report.cause))
    >>> for count in range(65):
    ...     losses = [2.0 - 0.03 * min(t, 40) + 0.9 * (t > 50) for t in range(count)]
    ...     watch.look(count, lambda: History.from_dict({"loss": losses}))
    >>> heard
    ['learning-rate-too-large']
    """

    FIRST = 32

    def __init__(self, on_finding: Listener | None) -> None:
        if on_finding is not None and not callable(on_finding):
            raise InputError(
                f"on_finding of type {type(on_finding).__name__}",
                allowed="a function of a Report, or None",
                write="on_finding=lambda report: report.print()",
            )
        self.on_finding = on_finding
        self._next = self.FIRST
        self._told: set[str] = set()

    def look(self, count: int, history: Callable[[], History]) -> None:
        """Judge the history if it is time to; the run waits meanwhile."""
        if self.on_finding is None or count < self._next:
            return
        while self._next <= count:
            self._next *= 2
        report = diagnose_history(history())
        flat = report.curve is not None and report.curve.is_flat
        fault = report.top is not None and not report.is_well
        if (flat or fault) and report.cause not in self._told:
            self._told.add(report.cause)
            self.on_finding(report)
