"""What all panels share: frozen settings, one pure call, a view, and a way to stop."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Generic, TypeVar

import ipywidgets as widgets

from diagkit.errors import InputError
from diagkit.widgets.controls import put
from diagkit.widgets.job import Job
from diagkit.widgets.runs import Kept, Runs
from diagkit.widgets.screen import Screen

S = TypeVar("S")  # the settings, a frozen dataclass that refuses bad values
R = TypeVar("R")  # what a call returns


class Panel(ABC, Generic[S, R]):
    """Settings -> results -> view. A concrete panel says what is computed and how it is shown, nothing else.

    A control replaces ``settings``. What is already known for them is shown at once; otherwise a live panel
    computes it when the control rests, and any other one when *Run* is pressed. While a job runs, each better
    result is drawn; *Stop* keeps the last. Controls that concern only the view must not change :meth:`key`.

    Parameters
    ----------
    screen : made first, since canvases need it. settings : at the start.
    controls : field of the settings -> its control, in the order of the eye; a field may have none.
    view : widgets below the controls. live : compute without being asked.
    goal : what to reach, in one sentence that names the numbers.

    Attributes
    ----------
    settings : frozen. result : for the present settings, computed on demand, so that a notebook runs from top
        to bottom without a mouse. widget : what is displayed.
    """

    def __init__(
        self,
        screen: Screen,
        settings: S,
        *,
        controls: Mapping[str, Any],
        view: Sequence[Any],
        live: bool = False,
        goal: str = "",
    ) -> None:
        self.screen, self.settings, self.live, self.goal = screen, settings, live, goal
        self.controls = dict(controls)
        self.runs: Runs[S, R] = Runs(
            screen,
            self.results,
            self.key,
            on_begin=self._begin,
            on_result=self._show_better,
            on_progress=self._progress,
            on_end=self._end,
        )
        self._writing = False  # our own hand on a control
        self._outer = ""  # the loop that moves the bar
        self.run_button = widgets.Button(description="Run", icon="play", button_style="primary")
        self.stop_button = widgets.Button(description="Stop", icon="stop", disabled=True)
        self.bar = widgets.IntProgress(min=0, max=1, layout=widgets.Layout(width="12em"))
        self.status, self.target, self.numbers = widgets.Label(), widgets.HTML(), widgets.HTML()
        self.run_button.on_click(screen.on_main(lambda _: self.start()))
        self.stop_button.on_click(screen.on_main(lambda _: self.stop()))
        for name, control in self.controls.items():
            control.observe(
                screen.on_main(lambda change, name=name: self._moved(name, change["new"])), "value"
            )
        self._start_soon = screen.after_pause(self.start)
        wrap = widgets.Layout(flex_flow="row wrap", align_items="center")
        work = widgets.HBox([self.run_button, self.stop_button, self.bar, self.status], layout=wrap)
        chosen = widgets.HBox(list(self.controls.values()), layout=wrap)
        self.widget = widgets.VBox([self.target, chosen, work, screen.errors, *view, self.numbers])
        self._show()

    @abstractmethod
    def results(self, settings: S) -> Iterator[R]:
        """The pure call: better and better results, the last of them the answer. Runs in any thread."""

    @abstractmethod
    def draw(self, result: R | None, settings: S) -> None:
        """Put it on the view, on the main thread. None: nothing is known for these settings yet."""

    @abstractmethod
    def words(self, result: R, settings: S) -> str:
        """What the picture says in numbers, as plain text of one or a few lines."""

    def key(self, settings: S) -> Hashable:
        """The part of the settings on which the result depends: all of them, unless some concern the view."""
        return settings

    def cost(self, settings: S) -> str:
        """What a run takes, e.g. ``"about 12 s"``; "" where that is not worth a word."""
        return ""

    def reached(self, result: R, settings: S) -> bool | None:
        """Is the goal reached? None where that cannot be told."""
        return None

    @property
    def result(self) -> R:
        """The result for the present settings: the one on screen, or computed now."""
        self.runs.join(self.settings)
        kept = self.runs.get(self.settings)
        return self.run() if kept is None else kept.result

    def change(self, **changes: Any) -> None:
        """Set settings by name, as the controls do.

        Raises
        ------
        InputError : no such setting, or a value that is not allowed; nothing is changed then.
        """
        known = [field.name for field in fields(self.settings)]  # type: ignore[arg-type]
        unknown = sorted(set(changes) - set(known))
        if unknown:
            raise InputError(f"setting {unknown[0]!r}", allowed=f"one of {known}")
        settings: S = replace(self.settings, **changes)  # type: ignore[type-var]
        self._writing = True
        try:
            for name in changes.keys() & self.controls.keys():
                put(self.controls[name], changes[name])
        finally:
            self._writing = False
        self._set(settings)

    def run(self) -> R:
        """Compute now, in this thread, and show it."""
        self.screen.clear()
        result = self.runs.run(self.settings)
        self._show()
        return result

    def start(self) -> Job:
        """Compute in the background, as the Run button does."""
        return self.runs.start(self.settings)

    def stop(self) -> None:
        """End the work early; what was found by then is kept and marked partial."""
        if self.runs.stop():
            self.status.value = "stopping ..."

    def _moved(self, name: str, value: Any) -> None:
        if not self._writing:
            self._set(replace(self.settings, **{name: value}))  # type: ignore[type-var]

    def _set(self, settings: S) -> None:
        self.settings = settings
        self.screen.clear()
        self._show()
        if self.live and self.runs.get(settings) is None:
            self._start_soon()

    def _lock(self, locked: bool) -> None:
        for control in self.controls.values():
            control.disabled = locked

    def _begin(self) -> None:
        self.screen.clear()
        self.bar.value, self._outer = 0, ""
        # Run stays enabled, or the keyboard would lose its place; a second press does nothing.
        self.stop_button.disabled = False
        self._lock(not self.live)
        self.status.value = "getting ready ..."

    def _progress(self, what: str, done: int, total: int) -> None:
        if self.runs.is_stopping:
            return  # a late message does not cover "stopping ..."
        if (
            not self._outer or what == self._outer
        ):  # the outer loop moves the bar, an inner one only says what it is
            self.bar.max, self.bar.value = max(total, 1), done
            self._outer = what if done < total else ""
            self.status.value = f"{what}: {done} of {total}"
        else:
            self.status.value = f"{self._outer}: {self.bar.value} of {self.bar.max}: {what}"

    def _end(self, error: BaseException | None) -> None:
        self.stop_button.disabled = True
        self._lock(False)
        self._show()
        if error is not None:
            self.status.value = "stopped by an error"
            self.screen.show(error)

    def _show_better(self, settings: S) -> None:
        """A better result of a running job, unless the student has moved on, or the end draws it anyway."""
        if self.runs.is_running and self.key(settings) == self.key(self.settings):
            self._draw()

    def _draw(self) -> Kept[R] | None:
        """Picture, numbers and goal, as far as they are known."""
        kept = self.runs.get(self.settings)
        reached = None if kept is None else self.reached(kept.result, self.settings)
        sign = {True: " <b>✓ reached</b>", False: " <b>✗ not yet</b>", None: ""}[reached]
        self.target.value = f"<b>Target:</b> {html.escape(self.goal)}{sign}" if self.goal else ""
        if kept is not None or not self.live:  # a live panel keeps the last picture until the next is there
            self.draw(None if kept is None else kept.result, self.settings)
            text = "" if kept is None else html.escape(self.words(kept.result, self.settings))
            self.numbers.value = (
                f'<div role="status" style="white-space:pre-line">{text}</div>' if text else ""
            )
        return kept

    def _show(self) -> None:
        """The view for the present settings, and a word on where the work stands."""
        kept = self._draw()
        if self.runs.is_running:
            return
        if kept is None:
            cost = self.cost(self.settings)
            self.bar.value = 0
            self.status.value = "" if self.live else f"Press Run: {cost}." if cost else "Press Run."
        else:
            self.bar.value = self.bar.max
            self.status.value = "done" if kept.complete else "partial: ended early"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        if self.live and self.screen.loop is not None and self.runs.get(self.settings) is None:
            self.start()
        return self.widget._repr_mimebundle_(**options)
