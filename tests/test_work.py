"""Long work is visible and stoppable, and what it returns early is marked so."""

import threading

import numpy as np
import pytest

import diagkit as dk
from diagkit.work import interrupted, progress, seconds_left, watching
from oracles import digits_objective


class StopAfter:
    """A listener that presses the stop button after n steps."""

    def __init__(self, steps: int) -> None:
        self.stop, self.steps, self.heard = threading.Event(), steps, []

    def __call__(self, what: str, done: int, total: int) -> None:
        self.heard.append((what, done, total))
        if done >= self.steps:
            self.stop.set()


def test_unwatched_work_is_never_interrupted():
    assert not interrupted()
    assert seconds_left() == float("inf")


def test_inner_watch_never_outlasts_the_outer():
    with watching(budget=0.0):
        with watching(budget=1e6):
            assert interrupted()
        with watching():
            assert interrupted()
    with watching(budget=1e6):
        with watching(budget=0.0):
            assert interrupted()
        assert not interrupted()
        assert 0 < seconds_left() <= 1e6
    assert not interrupted()


def test_outer_stop_and_listener_reach_inside():
    listener = StopAfter(2)
    with watching(stop=listener.stop, listener=listener), watching(budget=1e6):
        with progress("steps", 5) as advance:
            advance(1)
            assert not interrupted()
            advance(1)
        assert interrupted()
        assert seconds_left() == 0.0
    assert listener.heard == [("steps", 0, 5), ("steps", 1, 5), ("steps", 2, 5)]


def test_outer_stop_reaches_a_watch_with_a_stop_of_its_own():
    outer = threading.Event()
    with watching(stop=outer), watching(stop=threading.Event()):
        outer.set()
        assert interrupted()


def test_watch_is_taken_off_after_an_error():
    with pytest.raises(KeyError), watching(budget=0.0):
        raise KeyError
    assert not interrupted()


def test_bar_is_silent_for_short_work(capsys):
    with progress("short", 3) as advance:
        advance(3)
    assert capsys.readouterr() == ("", "")


PARTIAL = {
    "eigenvalues": lambda obj: dk.hessian_eigenvalues(obj, 1, tol=1e-12),
    "classify": dk.classify_critical_point,
    "line": dk.loss_line,
    "plane": lambda obj: dk.loss_plane(obj, resolution=17),
    "newton-mr": dk.find_critical_point,
    "gradient-norm": lambda obj: dk.find_critical_point(obj, method="gradient-norm"),
}


@pytest.mark.parametrize("name", PARTIAL)
def test_out_of_time_gives_a_partial_answer_marked_so(name):
    obj = digits_objective(examples=50)
    with watching(budget=0.0):
        result = PARTIAL[name](obj)
    assert not result.complete
    assert "complete=no" in repr(result)
    assert "partial" in result._repr_html_()


@pytest.mark.parametrize("name", PARTIAL)
def test_the_stop_button_ends_the_work(name):
    obj, listener = digits_objective(examples=50), StopAfter(3)
    with watching(stop=listener.stop, listener=listener):
        result = PARTIAL[name](obj)
    assert not result.complete
    # Three steps of a search cost up to a hundred products each; to its end it would be thousands.
    assert obj.meter.num_hvps <= 400
    assert obj.meter.num_evals <= 100


def test_partial_line_and_plane_hold_what_was_computed():
    obj = digits_objective(examples=50)
    listener = StopAfter(4)
    with watching(stop=listener.stop, listener=listener):
        line = dk.loss_line(obj, resolution=9)
    assert np.isfinite(line.loss).sum() == 4
    np.testing.assert_array_equal(line.loss[:4], dk.loss_line(obj, resolution=9).loss[:4])
    listener = StopAfter(4)
    with watching(stop=listener.stop, listener=listener):
        plane = dk.loss_plane(obj, resolution=9)
    assert plane.evaluated.sum() == 4
    np.testing.assert_array_equal(np.isfinite(plane.loss), plane.evaluated)
    assert np.isnan(plane.max_error)


def test_plane_stopped_between_grids_is_filled_and_says_so():
    obj = digits_objective(examples=50)
    listener = StopAfter(40)  # the grid of 5 x 5 and some of 9 x 9
    with watching(stop=listener.stop, listener=listener):
        plane = dk.loss_plane(obj, resolution=33, tol=1e-9)
    assert not plane.complete
    assert np.isfinite(plane.loss).all()
    assert plane.evaluated.sum() == 40


def test_enough_time_gives_the_whole_answer():
    obj = digits_objective(examples=50)
    with watching(budget=1e6):
        result = dk.hessian_eigenvalues(obj, 1)
    assert result.complete
    assert "complete" not in repr(result)
