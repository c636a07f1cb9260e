"""The results of a panel by their settings, and the one job that makes the next."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from diagkit.widgets.job import Job
from diagkit.widgets.screen import Screen
from diagkit.work import interrupted

S = TypeVar("S")
R = TypeVar("R")


@dataclass(frozen=True)
class Kept(Generic[R]):
    """A result, and whether the work behind it was done to the end."""

    result: R
    complete: bool


class Runs(Generic[S, R]):
    """At most one job at a time; what it found is kept.

    Parameters
    ----------
    results : settings -> better and better results. key : the part of the settings on which they depend.
    on_begin : when a job begins.
    on_result : (settings), on the main thread, when there is a better result for them.
    on_progress : as for :class:`Job`. on_end : the error or None, when nothing runs any more.
    """

    def __init__(
        self,
        screen: Screen,
        results: Callable[[S], Iterator[R]],
        key: Callable[[S], Hashable],
        *,
        on_begin: Callable[[], None],
        on_result: Callable[[S], None],
        on_progress: Callable[[str, int, int], None],
        on_end: Callable[[BaseException | None], None],
    ) -> None:
        self.screen, self.results, self.key = screen, results, key
        self.on_result = screen.on_main(on_result)
        self.on_begin, self.on_progress, self.on_end = on_begin, on_progress, on_end
        self._kept: dict[Hashable, Kept[R]] = {}
        self._job: Job | None = None
        self._working_on: Hashable = None
        self._next: S | None = None  # what begins when the running job has ended

    def get(self, settings: S) -> Kept[R] | None:
        """What is known for these settings."""
        return self._kept.get(self.key(settings))

    @property
    def is_running(self) -> bool:
        return self._job is not None and self._job.is_running

    @property
    def is_stopping(self) -> bool:
        return self._job is not None and self._job.stop_event.is_set()

    def run(self, settings: S) -> R:
        """All the results, now and in this thread; the last one is returned."""
        self.join(settings)
        for result in self.results(settings):
            self._keep(settings, result, complete=False)
        return self._finish(settings)

    def start(self, settings: S) -> Job:
        """A job for these settings. One for others is ended first, and the one for these begins then."""
        if self._job is not None and self._job.is_running:
            if self._working_on != self.key(settings):
                self._next = settings
                self._job.stop()
            return self._job
        self._next, self._working_on = None, self.key(settings)
        self.on_begin()

        def keep(result: R) -> None:
            self._keep(settings, result, complete=False)
            self.on_result(settings)

        def work() -> Iterator[R]:
            yield from self.results(settings)
            self._finish(settings)

        def end(error: BaseException | None) -> None:
            if self.is_running:
                return  # this was the end of an earlier job
            if self._next is not None:
                self._forget_partial()
                self.start(self._next)
            else:
                self.on_end(error)

        self._job = Job(self.screen, work, on_result=keep, on_progress=self.on_progress, on_end=end)
        return self._job.start()

    def stop(self) -> bool:
        """End the job; what was found by then is kept. False where nothing runs."""
        if self._job is None or not self._job.is_running:
            return False
        self._next = None
        self._job.stop()
        return True

    def join(self, settings: S) -> None:
        """Wait for a job for these settings, end any other; an interrupt of the waiting cell ends it, too."""
        if self._job is None:
            return
        if not self._job.is_running:
            self._job.rest()  # its last words may be under way
            return
        self._next = None
        other = self._working_on != self.key(settings)
        if other:
            self._job.stop()
        try:
            self._job.wait()
        except KeyboardInterrupt:
            self.stop()
            raise
        if other:
            self._forget_partial()

    def _keep(self, settings: S, result: R, complete: bool) -> None:
        self._kept[self.key(settings)] = Kept(result, complete)

    def _finish(self, settings: S) -> R:
        """The work is done, unless it was interrupted or the result itself says that it is not."""
        result: Any = self._kept[self.key(settings)].result
        self._keep(settings, result, complete=not interrupted() and getattr(result, "complete", True))
        return result

    def _forget_partial(self) -> None:
        """A job that was left for other settings: nobody asked to keep half of it."""
        kept = self._kept.get(self._working_on)
        if kept is not None and not kept.complete:
            del self._kept[self._working_on]
