"""Lesson 7: what it relies on, and its exercise."""

import numpy as np
import pytest
import torch

import diagkit as dk
from diagkit.lessons import feature_scaling as lesson


def test_the_oracle_agrees():
    X = lesson.hand_made() * torch.tensor([5.0, 100 * 0.2])
    kappa = dk.fit_scaling(X, "none").condition_after
    assert kappa == pytest.approx(lesson.AFTER)
    assert lesson.check(kappa).passed


@pytest.mark.parametrize("answer", [16, 16.0, np.float64(16.0), torch.tensor(16.0)])
def test_right_answers_pass(answer):
    assert lesson.check(answer).passed is True


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (625, "in metres"),
        (4, "standard deviations"),
        (25, "standard deviations"),
        (1 / 16, "at least 1"),
        (6.25e6, "larger, not smaller"),
        (6.25, "mean square"),
        (1, "not yet the same scale"),
        (0.3, "at least 1"),
        (17, "two entries"),
        (-16, "at least 1"),
        ("16", "a number"),
        ([16], "a number"),
        (float("nan"), "finite"),
        (object(), "a number"),
    ],
)
def test_wrong_answers_get_a_hint(answer, hint):
    checked = lesson.check(answer)
    assert checked.passed is False
    assert hint in checked.message


@pytest.mark.parametrize("kappa", [1.0, 2.0, 100.0])
def test_the_steps_are_those_of_gradient_descent(kappa):
    error, steps = np.ones(2), 0
    while error[1] > 0.01:
        error, steps = error * (1 - np.array([kappa, 1.0]) / kappa), steps + 1
    assert lesson.steps_for(kappa) == steps


def test_the_answers_are_told_apart():
    assert [lesson.answer_of(ratio) for ratio in (1.0, 5.0, 75.0)] == list(lesson.ANSWERS)


def test_a_scaling_fitted_on_all_data_is_moved_by_the_test_part():
    X = torch.rand(50, 2, generator=torch.Generator().manual_seed(0))
    assert lesson.refit(X, 5000.0) > 0.5
    assert lesson.refit(X, float(X[-1, 0])) == 0.0


@pytest.mark.parametrize("name", list(lesson.TARGETS))
def test_a_task_fits_together(name):
    task = lesson.task(name)
    X, y = task["data"]
    assert task["loss_fn"](task["make_model"]()(X), y) > 0
