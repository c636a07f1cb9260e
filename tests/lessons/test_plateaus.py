"""Lesson 3: what it relies on, and its exercise."""

import math

import numpy as np
import pytest

from diagkit.lessons import plateaus as lesson

P = 1 / (1 + math.exp(6))


def test_the_oracle_agrees():
    norms = {
        name: float(lesson.one_unit(name, lesson.SCORE).gradient().norm()) for name in lesson.two_losses()
    }
    assert lesson.check(norms["cross-entropy"] / norms["squared error"]).passed


@pytest.mark.parametrize("answer", [1 / (P * (1 - P)), 405, math.exp(6), np.float64(405.4)])
def test_right_answers_pass(answer):
    assert lesson.check(answer).passed is True


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (P * (1 - P), "other way round"),
        (0.5 / (P * (1 - P)), "factor 2"),
        (1 - P, "cross-entropy alone"),
        ((1 - P) ** 2 * P, "other way round"),
        (6, "|z|"),
        (4, "z = 0"),
        (-405, "same sign"),
        (100, "too small"),
        (1e6, "too large"),
        ("405", "a number"),
        ([405], "a number"),
        (float("nan"), "finite"),
        (object(), "a number"),
    ],
)
def test_wrong_answers_get_a_hint(answer, hint):
    checked = lesson.check(answer)
    assert checked.passed is False
    assert hint in checked.message


def test_the_gradients_of_one_unit_are_those_by_hand():
    for z in (0.0, -2.0, -10.0):
        p = 1 / (1 + math.exp(-z))
        slope = float(lesson.one_unit("cross-entropy", z).gradient())
        assert slope == pytest.approx(p - 1)
        assert float(lesson.one_unit("squared error", z).gradient()) == pytest.approx((p - 1) * p * (1 - p))
