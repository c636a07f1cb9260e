"""Work that can be stopped, in a thread of its own."""

import asyncio
import contextvars
import subprocess
import sys
import threading
import time

import pytest

from diagkit.errors import InputError
from diagkit.widgets import Job, Screen
from diagkit.work import interrupted, progress
from panel_scenes import WAIT, settled


def ignore(*_):
    pass


def job_of(screen, work, ends, on_progress=ignore, on_end=None):
    """A job of one result; ``ends`` gets the result and then the error."""

    def one():
        yield work()

    return Job(screen, one, on_result=ends.append, on_progress=on_progress, on_end=on_end or ends.append)


def finished(screen, work, on_progress=ignore):
    """The job, ended, and what it handed over: results, then its error."""
    ends = []
    job = job_of(screen, work, ends, on_progress).start()
    job._thread.join(WAIT)
    assert not job.is_running
    return job, ends


def fail():
    raise InputError("<b>nothing</b>", allowed="something")


def test_a_job_returns_its_result_and_tells_its_progress():
    def work():
        with progress("steps", 3) as advance:
            for _ in range(3):
                advance(1)
        return "result"

    heard = []
    job, ends = finished(Screen(), work, lambda *told: heard.append(told))
    assert ends == ["result", None]
    assert heard[0] == ("steps", 0, 3)
    assert heard[-1] == ("steps", 3, 3)
    job.wait()


def test_who_rests_hears_the_last_words():
    """Work that is over still tells so: a panel would be read with "2 of 2" where "done" comes next."""
    said = []

    def slow_end(error):
        time.sleep(0.2)
        said.append(error)

    job = job_of(Screen(), lambda: "result", [], on_end=slow_end).start()
    while job.is_running:
        time.sleep(0.001)
    job.rest()
    assert said == [None]


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

        job = job_of(
            Screen(), work, [], on_progress=lambda *_: note("progress"), on_end=lambda _: note("end")
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
    job = job_of(Screen(), work, ends).start()
    assert begun.wait(WAIT)
    assert job.is_running
    job.stop()
    job.wait(WAIT)
    assert ends == ["partial", None]


def test_an_error_is_handed_to_the_end_and_raised_where_one_waits():
    job, ends = finished(Screen(), fail)
    assert ends == [job.error]
    assert isinstance(job.error, InputError)
    with pytest.raises(InputError):
        job.wait()


def test_an_error_of_the_end_is_not_lost():
    def end(_):
        raise RuntimeError("cannot draw")

    screen = Screen()
    job = job_of(screen, lambda: 1, [], on_end=end).start()
    with pytest.raises(RuntimeError, match="cannot draw"):
        job.wait(WAIT)
    assert "cannot draw" in screen.errors.value


def test_a_notebook_that_waits_is_not_struck_by_the_error(lenient):
    async def notebook():
        ends = []
        job = job_of(Screen(), fail, ends).start()
        job.wait(WAIT)
        await settled(lambda: ends)
        return ends

    assert isinstance(asyncio.run(notebook())[0], InputError)


def test_the_context_of_the_caller_goes_along():
    variable = contextvars.ContextVar("variable", default="outside")
    token = variable.set("inside")
    try:
        _, ends = finished(Screen(), variable.get)
    finally:
        variable.reset(token)
    assert ends == ["inside", None]


def test_results_are_handed_over_one_by_one_until_the_stop():
    kept, go_on = [], threading.Event()

    def work():
        for number in range(100):
            yield number
            go_on.wait(WAIT)

    job = Job(Screen(), work, on_result=kept.append, on_progress=ignore, on_end=ignore).start()
    while not kept:
        time.sleep(0.005)
    job.stop()
    go_on.set()
    job.wait(WAIT)
    assert kept in ([0], [0, 1])


def in_a_process(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


def test_the_end_of_the_process_ends_its_jobs():
    """A thread amid torch's C++ would abort the process when Python ends."""
    code = (
        "import time, diagkit.widgets as w\n"
        "panel = w.BatchSizePanel()\n"
        "panel.start()\n"
        "while panel.runs.get(panel.settings) is None: time.sleep(0.01)\n"
    )
    done = in_a_process(code)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_first_optimizer_finds_all_imported():
    """Its import takes a second, in which the first picture of a lesson would be missing."""
    code = (
        "import sys, torch, diagkit.widgets\n"
        "before = set(sys.modules)\n"
        "torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)\n"
        "print(len(set(sys.modules) - before))\n"
    )
    done = in_a_process(code)
    assert int(done.stdout) < 10, done.stdout
