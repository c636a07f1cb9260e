"""What all panels share, seen on one that counts."""

import asyncio
import threading
import time
from dataclasses import dataclass

import pytest

import diagkit as dk
from diagkit.widgets import Panel, Screen, controls
from diagkit.work import interrupted, progress
from panel_scenes import WAIT, settled


@dataclass(frozen=True)
class CountSettings:
    """Count to ``n``; ``shift`` is only shown."""

    n: int = 3
    shift: int = 0

    def __post_init__(self):
        if self.n < 1:
            raise dk.InputError(f"n = {self.n}", allowed="a positive integer")


class CountPanel(Panel[CountSettings, int]):
    """Yields 1, 2, ..., n, each when it is let on."""

    def __init__(self, *, live=False, gated=False):
        self.gate, self.begun, self.calls, self.drawn = threading.Event(), threading.Event(), [], []
        self.threads = []
        if not gated:
            self.gate.set()
        chosen = {"n": controls.span("n", 1, 9, 1, 3), "shift": controls.span("shift", 0, 9, 1, 0)}
        super().__init__(
            Screen(), CountSettings(), controls=chosen, view=[], live=live, goal="count to 5 & on"
        )

    def key(self, settings):
        return settings.n

    def cost(self, settings):
        return f"about {settings.n} s"

    def results(self, settings):
        self.calls.append(settings)
        with progress("counting", settings.n) as advance:
            for number in range(1, settings.n + 1):
                yield number
                advance(1)
                self.begun.set()
                while not (self.gate.is_set() or interrupted()):
                    time.sleep(0.002)
                if interrupted():
                    return

    def draw(self, result, settings):
        self.drawn.append(result)
        self.threads.append(threading.current_thread())

    def words(self, result, settings):
        return f"<{result}> + {settings.shift}"

    def reached(self, result, settings):
        return result >= 5


def test_result_is_the_last_one_and_made_once():
    panel = CountPanel()
    assert panel.result == panel.result == 3
    assert len(panel.calls) == 1
    assert panel.status.value == "done"


def test_settings_by_name_move_the_controls_and_back():
    panel = CountPanel()
    panel.change(n=5)
    assert panel.controls["n"].value == 5
    assert panel.result == 5
    panel.controls["n"].value = 2
    assert panel.settings == CountSettings(n=2)
    assert panel.result == 2


@pytest.mark.parametrize("changes", [{"m": 1}, {"n": 0}])
def test_what_is_not_allowed_changes_nothing(changes):
    panel = CountPanel()
    with pytest.raises(dk.InputError, match="allowed"):
        panel.change(**changes)
    assert panel.settings == CountSettings()
    assert panel.controls["n"].value == 3


def test_a_setting_of_the_view_computes_nothing():
    panel = CountPanel()
    panel.run()
    panel.controls["shift"].value = 4
    assert "&lt;3&gt; + 4" in panel.numbers.value
    assert len(panel.calls) == 1


def test_the_cost_is_said_before_and_the_goal_after():
    panel = CountPanel()
    assert panel.status.value == "Press Run: about 3 s."
    assert panel.target.value.endswith("count to 5 &amp; on")
    panel.run()
    assert "not yet" in panel.target.value
    panel.change(n=6)
    panel.run()
    assert "✓ reached" in panel.target.value


def test_results_are_kept_for_every_setting():
    panel = CountPanel()
    for n in (2, 4, 2, 4):
        panel.change(n=n)
        assert panel.result == n
    assert len(panel.calls) == 2


def test_a_better_result_is_drawn_while_the_job_runs():
    async def notebook():
        panel = CountPanel(gated=True)
        panel.start()
        await settled(lambda: 1 in panel.drawn)
        assert panel.runs.is_running
        assert panel.controls["n"].disabled
        panel.gate.set()
        await settled(lambda: panel.status.value == "done")
        assert not panel.controls["n"].disabled
        assert panel.drawn[-1] == 3
        return panel.threads

    assert set(asyncio.run(notebook())) == {threading.main_thread()}


def test_stop_keeps_what_was_found():
    async def notebook():
        panel = CountPanel(gated=True)
        panel.start()
        await settled(panel.begun.is_set)
        panel.stop_button.click()
        await settled(lambda: panel.status.value == "partial: ended early")
        assert panel.result == 1
        assert len(panel.calls) == 1

    asyncio.run(notebook())


def test_run_goes_to_the_end_after_a_stop():
    panel = CountPanel(gated=True)
    job = panel.start()
    assert panel.begun.wait(WAIT)
    panel.stop()
    job.wait(WAIT)
    panel.gate.set()
    assert panel.run() == 3
    assert panel.status.value == "done"


def test_a_live_panel_follows_its_controls():
    async def notebook():
        panel = CountPanel(live=True)
        for n in (4, 5, 6, 7):  # a slider that is dragged
            panel.controls["n"].value = n
        await settled(lambda: panel.drawn and panel.drawn[-1] == 7)
        assert [settings.n for settings in panel.calls] == [7]

    asyncio.run(notebook())


def test_a_live_panel_leaves_a_job_for_the_next():
    async def notebook():
        panel = CountPanel(live=True, gated=True)
        panel.controls["n"].value = 8
        await settled(panel.begun.is_set)
        assert not panel.controls["n"].disabled
        panel.controls["n"].value = 9
        await settled(lambda: len(panel.calls) == 2)
        panel.gate.set()
        await settled(lambda: panel.status.value == "done")
        assert panel.drawn[-1] == 9
        panel.controls["n"].value = 8  # half of it was dropped: it is counted again
        await settled(lambda: len(panel.calls) == 3 and panel.drawn[-1] == 8)

    asyncio.run(notebook())


def test_result_ends_a_job_for_other_settings():
    panel = CountPanel(gated=True)
    panel.start()
    assert panel.begun.wait(WAIT)
    panel._set(CountSettings(n=2))
    panel.gate.set()
    assert panel.result == 2


def test_a_live_panel_begins_when_it_is_displayed():
    async def notebook():
        panel = CountPanel(live=True)
        panel._repr_mimebundle_()
        await settled(lambda: panel.status.value == "done")
        assert panel.drawn[-1] == 3

    asyncio.run(notebook())


def test_errors_end_the_work_and_are_shown(lenient):
    class Broken(CountPanel):
        def results(self, settings):
            yield 1
            raise dk.InputError("nothing", allowed="something")

    async def notebook():
        panel = Broken()
        panel.start()
        await settled(lambda: panel.screen.errors.value)
        assert panel.status.value == "stopped by an error"
        assert panel.stop_button.disabled
        panel.change(n=4)
        assert panel.screen.errors.value == ""

    asyncio.run(notebook())
