"""Lesson 6: what it relies on, and its exercise."""

import numpy as np
import pytest

import diagkit as dk
from diagkit.lessons import gradient_noise as lesson


@pytest.mark.parametrize("batch_size", [1, 2, 3, 4])
def test_all_batches_of_four_points_have_the_variance_of_the_formula(batch_size):
    noise = dk.gradient_noise(lesson.four_points())
    by_hand = lesson.gradients_of_batches(batch_size)
    assert by_hand.mean() == pytest.approx(-4.0)
    assert by_hand.var() == pytest.approx(noise.minibatch_variance(batch_size), abs=1e-12)


def test_the_oracle_agrees():
    """The batch that the check wants has half the noise, for any gradients."""
    numbers = np.random.default_rng(0).normal(size=lesson.NUM_EXAMPLES)

    def deviation(size):
        return ((1 / size - 1 / len(numbers)) * numbers.var(ddof=1)) ** 0.5

    assert deviation(lesson.wanted()) == pytest.approx(deviation(lesson.START) / 2)
    assert lesson.check(lesson.wanted()).passed


@pytest.mark.parametrize("answer", [174, 173.9, np.int64(174), 173, 174.5])
def test_right_answers_pass(answer):
    assert lesson.check(answer).passed is True


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (200, "endless data"),
        (100, "variance"),
        (95, "halves the variance"),
        (71, "a root too many"),
        (25, "noisier"),
        (1000, "no noise left"),
        (0.5, "between 1"),
        (4000, "between 1"),
        (-50, "between 1"),
        (150, "divide it by 4"),
        ("174", "a number"),
        ([174], "a number"),
        (float("nan"), "finite"),
        (object(), "a number"),
    ],
)
def test_wrong_answers_get_a_hint(answer, hint):
    checked = lesson.check(answer)
    assert checked.passed is False
    assert hint in checked.message


def test_the_floor_is_that_of_theory():
    """To three standard errors of the deviation of 4000 weights."""
    found, theory = lesson.spread_at_the_end(0.0), (0.1 / 1.9) ** 0.5
    assert found == pytest.approx(theory, rel=3 / np.sqrt(2 * lesson.WEIGHTS))
    assert lesson.spread_at_the_end(0.5) < 0.1 * theory


def test_order_and_dropout():
    loss = lesson.losses_by_order(range(1))
    assert loss["sorted by class"][0] > 3 * loss["shuffled once"][0]
    quiet, noisy, spread = lesson.losses_by_mode(range(1), masks=5)
    assert noisy[0] > quiet[0]
    assert spread[0] > 0
    same = lesson.losses_by_mode(range(1), dropout=0.0, masks=2)
    assert same[0][0] == pytest.approx(same[1][0])


@pytest.mark.parametrize(("without", "noisy"), [(0, 20), (20, 20), (0, 0)])
def test_what_helped_is_read_off_the_rates(without, noisy):
    class Study:
        def rate(self, start, noise):
            assert start == "zero"
            return dk.experiments.SuccessRate(noisy if noise else without, 20)

    expected = {(0, 20): 1, (20, 20): 0, (0, 0): 2}[without, noisy]
    assert lesson.helper(Study()) == lesson.HELPERS[expected]
