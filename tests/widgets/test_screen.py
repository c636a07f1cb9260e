"""The thread of the screen, and the error box."""

import asyncio
import threading

import pytest

from diagkit.errors import InputError
from diagkit.widgets import Screen
from panel_scenes import settled


def fail():
    raise InputError("<b>nothing</b>", allowed="something")


def test_without_a_loop_errors_are_shown_and_raised(lenient):
    screen = Screen()
    assert screen.loop is None
    with pytest.raises(InputError):
        screen.on_main(fail)()
    assert "InputError" in screen.errors.value
    screen.clear()
    assert screen.errors.value == ""


def test_in_a_notebook_errors_are_shown_and_escaped(lenient):
    async def notebook():
        screen = Screen()
        assert screen.on_main(fail)() is None
        return screen.errors.value

    shown = asyncio.run(notebook())
    assert "&lt;b&gt;nothing&lt;/b&gt;" in shown
    assert "<b>" not in shown
    assert 'role="alert"' in shown
    assert "where it happened" not in shown  # a foreseen error says all that is needed


def test_what_was_not_foreseen_comes_with_its_place(lenient):
    screen = Screen()
    with pytest.raises(ZeroDivisionError):
        screen.guard(lambda: 1 / 0)()
    assert "where it happened" in screen.errors.value
    assert "test_screen.py" in screen.errors.value


def test_strict_raises_in_a_notebook_too(monkeypatch):
    monkeypatch.setenv("DIAGKIT_STRICT", "1")

    async def notebook():
        screen = Screen()
        with pytest.raises(InputError):
            screen.on_main(fail)()
        return screen.errors.value

    assert "InputError" in asyncio.run(notebook())


def test_callbacks_hop_to_the_main_thread():
    async def notebook():
        screen, threads = Screen(), []
        callback = screen.on_main(lambda: threads.append(threading.current_thread()))
        other = threading.Thread(target=callback)
        other.start()
        other.join()
        assert threads == []  # handed over, not run there
        await settled(lambda: threads)
        callback()  # on the main thread already: at once
        return threads

    assert asyncio.run(notebook()) == [threading.main_thread()] * 2


def test_of_calls_in_a_row_the_last_one_counts():
    async def notebook():
        screen, calls = Screen(), []
        later = screen.after_pause(lambda: calls.append(1), seconds=0.05)
        for _ in range(5):
            later()
        assert calls == []
        await settled(lambda: calls)
        await asyncio.sleep(0.1)
        return calls

    assert asyncio.run(notebook()) == [1]


def test_without_a_loop_there_is_no_pause():
    calls = []
    Screen().after_pause(lambda: calls.append(1), seconds=5)()
    assert calls == [1]
