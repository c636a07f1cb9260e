"""Lesson 2: what it relies on, and its exercise."""

import math

import numpy as np
import pytest

import diagkit as dk
from diagkit.lessons import critical_points as lesson


def test_the_oracle_agrees():
    escape = dk.escape_saddle(dk.Objective(*dk.clinic.two_weights(lesson.TARGET)))
    assert lesson.check(escape.step).passed


@pytest.mark.parametrize("answer", [2, 2.0, -2.0, np.float32(2), 1.995])
def test_right_answers_pass(answer):
    assert lesson.check(answer).passed is True


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (math.sqrt(2), "each of the two weights"),
        (-math.sqrt(2), "each of the two weights"),
        (4, "t²"),
        (0, "still at the saddle"),
        (1, "below its target"),
        (2.5, "above its target"),
        (10, "too far"),
        ("2", "a number"),
        (True, "a number"),
        ([2], "a number"),
        (float("inf"), "finite"),
        (float("nan"), "finite"),
        (object(), "a number"),
    ],
)
def test_wrong_answers_get_a_hint(answer, hint):
    checked = lesson.check(answer)
    assert checked.passed is False
    assert hint in checked.message


def test_the_place_with_the_largest_gradient_is_the_minimum():
    norms = lesson.gradient_norms()
    assert norms["A"] < norms["B"] < norms["C"] < 1e-6
    verdicts = lesson.tour()["verdict"]
    assert [verdicts[name] for name in lesson.LETTERS.values()] == [
        "saddle",
        "not-critical",
        "minimum-within-tolerance",
    ]


def test_training_stops_where_a_way_leads_down():
    ends = lesson.ends_of_training(range(2))
    assert ends.proven.all()
    assert (ends.loss < 0.5).all()
    assert list(ends.index) == [0, 1]
