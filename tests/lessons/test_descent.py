"""Lesson 1: right answers pass, wrong ones are met with the fitting hint, and the set-up keeps its word."""

import numpy as np
import pytest
import torch

import diagkit as dk
from diagkit.lessons import descent as lesson

SOLUTION = 3 / 7  # (2 + 2 beta) / lambda_max


@pytest.mark.parametrize("answer", [SOLUTION, 0.43, 0.4286, np.float32(SOLUTION), torch.tensor(SOLUTION)])
def test_the_right_answer_passes(answer):
    assert lesson.check(answer).passed is True


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (2 / 7, "plain gradient descent"),
        (0.143, "in one step"),
        (3 / 2, "flat direction"),
        (3 / 6, "largest entry"),
        (3 / 9, "trace"),
        (7 / 3, "upside down"),
        (3.8 / 7, "0.9"),
        (5, "diverges"),
        (0.05, "a larger one"),
        (0, "larger than 0"),
        (-1.0, "larger than 0"),
    ],
)
def test_typical_wrong_answers_are_helped(answer, hint):
    checked = lesson.check(answer)
    assert checked.passed is False
    assert hint in checked.message
    assert "0.42" not in checked.message
    assert "3/7" not in checked.message


def test_the_oracle_agrees_with_the_descents():
    valley = dk.clinic.Valley(
        "exercise",
        "",
        dk.clinic.valleys.Surface(lambda w: 0.5 * w @ torch.tensor(lesson.HESSIAN) @ w, (1.0, 1.0)),
        lambda out, y: out.mean(),
        (torch.ones(1, 1, dtype=torch.float64),) * 2,
        (1.0, 1.0),
    )
    for factor in (0.98, 1.02):
        rate = factor * SOLUTION
        make = lambda p, rate=rate: torch.optim.SGD(p, lr=rate, momentum=lesson.BETA)  # noqa: E731
        path = dk.descent_path(valley.objective(), make, steps=400)
        assert (path.loss[-1] > path.loss[0]) == (factor > 1) == (lesson.growth(rate) > 1)
        np.testing.assert_allclose(path.ratios, factor, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "rate", "ending"),
    [
        ("straight walls", 0.3, "it swings for ever"),
        ("straight walls", 0.15, "it reaches the lowest point"),
        ("quadratic", 0.25, "it diverges"),
        ("quadratic", 0.003, "it is still on its way"),
    ],
)
def test_endings_are_told_apart(name, rate, ending):
    path = dk.descent_path(dk.clinic.valley(name).objective(), lesson.rates()["SGD"](rate), steps=200)
    assert lesson.ending(path) == ending


def test_the_edge_of_stability_is_reached():
    before = torch.random.get_rng_state()
    runs = lesson.edge_runs([0], steps=800)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert 0.85 < runs.late_ratios[0] < 1.15
    assert runs.at_the_end[0] < runs.half_way[0]
    assert runs.losses.shape == (1, 800)
