"""The picture of a trial shows its numbers."""

import numpy as np
import pytest

from diagkit.diagnosis import Trial
from diagkit.plots import draw


def trial(**changes):
    steps = np.array([0, 10, 20])
    without = np.array([[2.0, 2.0, 2.0], [2.0, 2.1, 1.9]])
    remedy = np.array([[2.0, 1.0, 0.5], [2.0, 1.2, 0.7]])
    values = {
        "remedy": "lower rate",
        "reference": "as before",
        "steps": steps,
        "without": without,
        "with_remedy": remedy,
        "effect": 1.0,
        "interval": (0.8, 1.2),
    }
    return Trial(**{**values, **changes})


def test_means_over_seeds_are_drawn(ax):
    drawn = draw(trial(), ax)
    np.testing.assert_allclose(drawn.artists["remedy"].get_ydata(), [2.0, 1.1, 0.6])
    np.testing.assert_allclose(drawn.artists["reference"].get_ydata(), [2.0, 2.05, 1.95])
    assert drawn.artists["remedy"].get_linestyle() != drawn.artists["reference"].get_linestyle()
    assert drawn.artists["remedy"].get_marker() != drawn.artists["reference"].get_marker()
    assert "lowers the loss by 1" in ax.get_title()


def test_a_remedy_that_harms_is_called_so(ax):
    draw(trial(effect=-0.5, interval=(-0.7, -0.3)), ax)
    assert "raises the loss by 0.5" in ax.get_title()


def test_runs_that_diverged_break_off(ax):
    without = np.array([[2.0, 50.0, np.inf], [2.0, 60.0, np.inf]])
    drawn = draw(trial(without=without), ax)
    assert np.isnan(drawn.artists["reference"].get_ydata()[-1])
    assert ax.get_yscale() == "log"
    assert "log" in ax.get_ylabel()


@pytest.fixture
def ax():
    from matplotlib.figure import Figure

    return Figure().subplots()
