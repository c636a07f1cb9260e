"""A falling curve is called falling, noise is not."""

import numpy as np
import pytest

import diagkit as dk
from diagkit.diagnosis.curve import SHORTEST, trend

SEEDS = 1000


def history(losses):
    return dk.History.from_dict({"loss": losses})


@pytest.mark.parametrize("length", [100, 400, 2000])
def test_noise_is_not_falling(length):
    """The test is at 1 %: among 1000 curves of noise, 20 or fewer are taken for falling."""
    rng = np.random.default_rng(length)
    curves = [1 + 0.3 * rng.standard_normal(length) for _ in range(SEEDS)]
    assert sum(trend(history(c)).is_falling for c in curves) <= 0.02 * SEEDS


def test_heavy_tails_are_not_falling():
    rng = np.random.default_rng(0)
    curves = [rng.exponential(size=1000) for _ in range(SEEDS)]
    assert sum(trend(history(c)).is_falling for c in curves) <= 0.02 * SEEDS


def test_a_fall_below_the_noise_of_a_step_is_seen():
    rng = np.random.default_rng(0)
    steps = np.arange(2000)
    found = [
        trend(history(2 - 4e-4 * steps + 0.2 * rng.standard_normal(2000))).is_falling for _ in range(200)
    ]
    assert np.mean(found) > 0.95


def test_a_straight_line_gives_its_own_fall():
    found = trend(history(np.linspace(2.0, 1.0, 401)))
    assert found.fall == pytest.approx(0.25, rel=0.01)
    assert found.last == pytest.approx(1.0, abs=1e-6)
    assert found.total == pytest.approx(1.0, abs=0.05)
    assert (found.window, found.num_steps) == (99, 401)
    assert found.is_falling


def test_a_rise_is_not_a_fall():
    assert not trend(history(np.linspace(1.0, 2.0, 400))).is_falling


def test_a_constant_is_not_falling():
    assert not trend(history(np.full(100, 2.3))).is_falling


@pytest.mark.parametrize("losses", [[1.0] * (SHORTEST - 1), [float("nan")] * 50])
def test_too_little_says_nothing(losses):
    assert trend(history(losses)) is None


def test_no_history_says_nothing():
    assert trend(None) is None
    assert trend(dk.History.from_dict({"lr": [0.1] * 50})) is None


def test_gaps_are_left_out():
    losses = np.linspace(2.0, 1.0, 400)
    losses[::3] = np.nan
    assert trend(history(losses)).fall == pytest.approx(0.25, rel=0.05)
