"""Work that takes seconds, in a thread of its own under a stop event."""

from __future__ import annotations

import atexit
import contextvars
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakSet

from diagkit.widgets.screen import Screen
from diagkit.work import watching

BETWEEN_MESSAGES = 0.1  # seconds, in loops of many steps
MANY_STEPS = 50
LONGEST_END = 5.0  # seconds that the end of the process waits for a job

_running: WeakSet[Job] = WeakSet()


class Job:
    """One piece of work, stoppable, that hands over better and better results.

    Parameters
    ----------
    work : () -> results, one after the other; the last one is the answer.
    on_result : called with each, in the thread of the job, so that a cell that waits finds it kept.
    on_progress : (what, done, total) on the main thread, ten times a second where there are many steps.
    on_end : the error, or None, on the main thread, once the job no longer counts as running.
    """

    def __init__(
        self,
        screen: Screen,
        work: Callable[[], Iterable[Any]],
        *,
        on_result: Callable[[Any], None],
        on_progress: Callable[[str, int, int], None],
        on_end: Callable[[BaseException | None], None],
    ) -> None:
        self.screen = screen
        self.stop_event = threading.Event()
        self.error: BaseException | None = None
        self._over = threading.Event()
        tell, end = _seldom(screen.on_main(on_progress)), screen.on_main(on_end)

        def body() -> None:
            try:
                with watching(stop=self.stop_event, listener=tell):
                    for result in work():
                        on_result(result)
                        if self.stop_event.is_set():
                            break
            except BaseException as error:
                self.error = error
            self._over.set()
            _running.discard(self)
            try:
                end(self.error)
            except Exception as error:
                self.error = self.error or error

        # The context of the caller goes along: a budget set around the panel holds inside the thread too.
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(body,), daemon=True, name="diagkit-job")

    def start(self) -> Job:
        _running.add(self)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ask the work to end; what it has by then is kept."""
        self.stop_event.set()

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive() and not self._over.is_set()

    def rest(self) -> None:
        """Block until what the end of the work sets off is done, too; from the job itself, do nothing."""
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def wait(self, timeout: float | None = None) -> None:
        """Block until the work is over; raise its error where nobody looks at the screen."""
        self._thread.join(timeout)
        if self.error is not None and self.screen.raises:
            raise self.error


def _seldom(tell: Callable[[str, int, int], None]) -> Callable[[str, int, int], None]:
    """``tell`` without the messages that nobody could read: loops report faster than a screen shows."""
    last = ("", 0.0)

    def seldom(what: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if total < MANY_STEPS or what != last[0] or done >= total or now - last[1] >= BETWEEN_MESSAGES:
            last = (what, now)
            tell(what, done, total)

    return seldom


@atexit.register
def _end_all() -> None:
    """A thread that is amid torch's C++ when Python ends takes the whole process down with an abort."""
    for job in list(_running):
        job.stop()
    for job in list(_running):
        job._thread.join(LONGEST_END)
