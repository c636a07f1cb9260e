"""One thread for the screen, and an error box.

Widget messages can arrive on another thread, and matplotlib is not thread-safe: whatever touches widgets or
figures hops to the main loop. An error appears in the panel instead of a log that nobody reads, and is raised
under tests (``DIAGKIT_STRICT``), where there is no one to read the panel.
"""

from __future__ import annotations

import asyncio
import functools
import html
import os
import threading
import traceback
from collections.abc import Callable
from typing import Any

try:
    import ipywidgets as widgets
except ImportError as error:
    from diagkit.errors import MissingPackageError

    raise MissingPackageError("ipywidgets", "lab", "diagkit.widgets") from error

from diagkit.errors import DiagkitError

PAUSE = 0.15  # seconds without a further event, until the last one counts


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

    def after_pause(self, callback: Callable[[], Any], seconds: float = PAUSE) -> Callable[[], None]:
        """``callback``, run once when calls have ceased for a while; at once where there is no loop."""
        waiting: asyncio.TimerHandle | None = None
        guarded = self.guard(callback)

        def call() -> None:
            nonlocal waiting
            if self.loop is None:
                guarded()
                return
            if waiting is not None:
                waiting.cancel()
            waiting = self.loop.call_later(seconds, guarded)

        return self.on_main(call)
