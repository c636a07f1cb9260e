"""The thread of the screen, the error box, and work that can be stopped."""

import asyncio
import contextvars
import threading
import time

import pytest

from diagkit.errors import InputError
from diagkit.widgets import Job, Screen
from diagkit.work import interrupted, progress

WAIT = 20


def ignore(*_):
    pass


def finished(screen, work, on_progress=ignore):
    """The job, ended, and what it was told at its end."""
    ends = []
    job = Job(screen, work, on_progress=on_progress, on_end=lambda *end: ends.append(end)).start()
    job._thread.join(WAIT)
    assert not job.is_running
    return job, ends


async def settled(condition):
    """Let the loop run until the condition holds."""
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        await asyncio.sleep(0.01)


@pytest.fixture
def lenient(monkeypatch):
    """As in a notebook: errors are shown, not raised."""
    monkeypatch.delenv("DIAGKIT_STRICT", raising=False)


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
    assert "test_app.py" in screen.errors.value


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


def test_a_job_returns_its_result_and_tells_its_progress():
    def work():
        with progress("steps", 3) as advance:
            for _ in range(3):
                advance(1)
        return "result"

    heard = []
    job, ends = finished(Screen(), work, lambda *told: heard.append(told))
    assert ends == [("result", None)]
    assert heard[0] == ("steps", 0, 3)
    assert heard[-1] == ("steps", 3, 3)
    job.wait()


def test_a_fast_loop_does_not_flood_the_screen():
    def work():
        with progress("steps", 10_000) as advance:
            for _ in range(10_000):
                advance(1)

    heard = []
    finished(Screen(), work, lambda *told: heard.append(told))
    assert heard[-1] == ("steps", 10_000, 10_000)
    assert len(heard) < 500


def test_in_a_notebook_a_job_works_elsewhere_and_speaks_on_the_main_thread():
    async def notebook():
        threads = {"work": [], "progress": [], "end": []}

        def note(key):
            threads[key].append(threading.current_thread())

        def work():
            note("work")
            with progress("steps", 1) as advance:
                advance(1)

        job = Job(
            Screen(), work, on_progress=lambda *_: note("progress"), on_end=lambda *_: note("end")
        ).start()
        await settled(lambda: threads["end"])
        assert not job.is_running
        return threads

    threads = asyncio.run(notebook())
    assert threads["work"][0].name == "diagkit-job"
    assert set(threads["progress"] + threads["end"]) == {threading.main_thread()}


def test_stop_ends_a_job_early_and_keeps_what_it_has():
    begun = threading.Event()

    def work():
        begun.set()
        while not interrupted():
            time.sleep(0.005)
        return "partial"

    ends = []
    job = Job(Screen(), work, on_progress=ignore, on_end=lambda *end: ends.append(end)).start()
    assert begun.wait(WAIT)
    assert job.is_running
    job.stop()
    job.wait(WAIT)
    assert ends == [("partial", None)]


def test_an_error_is_handed_to_the_end_and_raised_where_one_waits():
    job, ends = finished(Screen(), fail)
    assert ends == [(None, job.error)]
    assert isinstance(job.error, InputError)
    with pytest.raises(InputError):
        job.wait()


def test_an_error_of_the_end_is_not_lost():
    def end(*_):
        raise RuntimeError("cannot draw")

    screen = Screen()
    job = Job(screen, lambda: 1, on_progress=ignore, on_end=end).start()
    with pytest.raises(RuntimeError, match="cannot draw"):
        job.wait(WAIT)
    assert "cannot draw" in screen.errors.value


def test_a_notebook_that_waits_is_not_struck_by_the_error(lenient):
    async def notebook():
        ends = []
        job = Job(Screen(), fail, on_progress=ignore, on_end=lambda *end: ends.append(end)).start()
        job.wait(WAIT)
        await settled(lambda: ends)
        return ends

    assert isinstance(asyncio.run(notebook())[0][1], InputError)


def test_the_context_of_the_caller_goes_along():
    variable = contextvars.ContextVar("variable", default="outside")
    token = variable.set("inside")
    try:
        _, ends = finished(Screen(), variable.get)
    finally:
        variable.reset(token)
    assert ends == [("inside", None)]
