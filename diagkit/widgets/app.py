"""The parts that every panel is built from: one thread for the screen, an error box, stoppable work.

Widget messages can arrive on another thread, and work that takes seconds must not block the kernel. So:
whatever touches widgets or figures hops to the main loop; work runs in a thread of its own under a stop
event; an error appears in the panel instead of a log that nobody reads, and is raised under tests
(``DIAGKIT_STRICT``), where there is no one to read the panel.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import html
import os
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

try:
    import ipywidgets as widgets
except ImportError as error:
    from diagkit.errors import MissingPackageError

    raise MissingPackageError("ipywidgets", "lab", "diagkit.widgets") from error

from diagkit.errors import DiagkitError
from diagkit.work import watching

BETWEEN_MESSAGES = 0.1  # seconds, in loops of many steps
MANY_STEPS = 50


class Screen:
    """The main loop, and the box in which errors are shown."""

    def __init__(self) -> None:
        try:
            self.loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self.loop = None  # no notebook: callbacks run where they are called
        self.strict = bool(os.environ.get("DIAGKIT_STRICT"))
        self.errors = widgets.HTML()

    @property
    def raises(self) -> bool:
        """Nobody looks at the screen: tests, scripts."""
        return self.loop is None or self.strict

    def guard(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        """Show what goes wrong in ``callback``; raise it where nobody looks at the screen."""

        @functools.wraps(callback)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                return callback(*args, **kwargs)
            except Exception as error:
                self.show(error)
                if self.raises:
                    raise
                return None

        return guarded

    def clear(self) -> None:
        """Take the last error off the screen."""
        self.errors.value = ""

    def show(self, error: BaseException) -> None:
        """The error in words; the panel stays usable. What diagkit did not foresee comes with its place."""
        text = html.escape(f"{type(error).__name__}: {error}")
        if not isinstance(error, DiagkitError):
            lines = html.escape("".join(traceback.format_exception(error)))
            pre = f'<pre style="color:#111">{lines}</pre>'
            text += f"<details><summary>where it happened</summary>{pre}</details>"
        self.errors.value = (
            f'<div role="alert" style="border-left:.5em solid #D55E00;background:#fdf1ea;color:#111;'
            f'padding:.5em .9em;line-height:1.4;white-space:pre-wrap">{text}</div>'
        )

    def on_main(self, callback: Callable[..., Any]) -> Callable[..., Any]:
        """``callback``, always run on the main thread."""
        guarded = self.guard(callback)

        @functools.wraps(callback)
        def hop(*args: Any, **kwargs: Any) -> Any:
            if self.loop is None or threading.current_thread() is threading.main_thread():
                return guarded(*args, **kwargs)
            self.loop.call_soon_threadsafe(functools.partial(guarded, *args, **kwargs))
            return None

        return hop


class Job:
    """One piece of work in a thread of its own, stoppable, with its progress told on the main thread.

    Parameters
    ----------
    work : () -> result. on_progress : (what, done, total), ten times a second where there are many steps.
    on_end : (result, error), one of them None; called once the job no longer counts as running.
    """

    def __init__(
        self,
        screen: Screen,
        work: Callable[[], Any],
        *,
        on_progress: Callable[[str, int, int], None],
        on_end: Callable[[Any, BaseException | None], None],
    ) -> None:
        self.screen = screen
        self.stop_event = threading.Event()
        self.error: BaseException | None = None
        self._over = threading.Event()
        tell, end = _seldom(screen.on_main(on_progress)), screen.on_main(on_end)

        def body() -> None:
            result = None
            try:
                with watching(stop=self.stop_event, listener=tell):
                    result = work()
            except BaseException as error:
                self.error = error
            self._over.set()
            try:
                end(result, self.error)
            except Exception as error:
                self.error = self.error or error

        # The context of the caller goes along: a budget set around the panel holds inside the thread too.
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(body,), daemon=True, name="diagkit-job")

    def start(self) -> Job:
        self._thread.start()
        return self

    def stop(self) -> None:
        """Ask the work to end; what it has by then is kept."""
        self.stop_event.set()

    @property
    def is_running(self) -> bool:
        return self._thread.is_alive() and not self._over.is_set()

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
