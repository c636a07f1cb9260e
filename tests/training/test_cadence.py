"""The share is kept whatever steps and work cost, on a clock that we turn by hand."""

import numpy as np
import pytest

from diagkit.training.cadence import Cadence


def run(step_times, cost, share=0.05):
    """(steps at which work was done, the cadence) for a work that takes ``cost(i)`` the i-th time."""
    now, due = [0.0], []
    cadence = Cadence(share, clock=lambda: now[0])
    for step, seconds in enumerate(step_times):
        now[0] += seconds
        if cadence.is_due():
            foreseen = cadence.spent + (cost(len(due) - 1) if due else 0.0)
            assert not due or foreseen <= share * cadence.training * (1 + 1e-12)
            with cadence.working():
                now[0] += cost(len(due))
            due.append(step)
    return due, cadence


@pytest.mark.parametrize("share", [0.05, 0.5])
@pytest.mark.parametrize("cost", [0.001, 0.3, 5.0])
@pytest.mark.parametrize("seed", range(3))
def test_the_share_is_kept(seed, cost, share):
    rng = np.random.default_rng(seed)
    costs = cost * rng.exponential(size=5000)
    due, cadence = run(rng.exponential(0.1, size=3000), lambda i: costs[i], share)
    assert due[0] == 0
    # What the last work took beyond what was foreseen is not yet paid.
    assert cadence.spent <= share * cadence.training + costs[: len(due)].max()


def test_the_share_is_used():
    due, cadence = run([1.0] * 10_000, lambda i: 0.5)
    assert cadence.spent >= 0.9 * 0.05 * cadence.training
    assert np.ptp(np.diff(due)[1:]) <= 1, "evenly"


def test_a_pause_lets_one_work_through():
    due, _ = run([1.0] * 50 + [10_000.0] + [1.0] * 50, lambda i: 1.0)
    assert due == [0, 40, 50, 70, 90]


def test_an_error_in_the_work_is_counted_too():
    now = [0.0]
    cadence = Cadence(clock=lambda: now[0])
    cadence.is_due()

    def fail():
        with cadence.working():
            now[0] += 3.0
            raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        fail()
    assert cadence.spent == 3.0
