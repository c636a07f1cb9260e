"""Pictures of a short run with normalization and without: the numbers drawn."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from diagkit.experiments.normalization.short_run import ShortRun
from diagkit.plots import draw, draw_curvature_on_the_way
from plots.study_cases import normalization_run


@pytest.fixture
def ax():
    figure, made = plt.subplots()
    yield made
    plt.close(figure)


def test_losses_are_running_means(ax):
    drawn = draw(normalization_run(None), ax)
    losses = np.linspace(2.0, 1.0, 20)
    assert drawn.artists["batch"].get_ydata()[-1] == pytest.approx(losses[-5:].mean())
    assert drawn.artists["none"].get_ydata().tolist() == pytest.approx([2.0] * 20)


def test_a_run_that_has_left_the_picture_is_marked(ax):
    run = ShortRun(np.array([2.0, 4.0, 50.0, np.nan]), np.array([1.0, np.nan]))
    drawn = draw(normalization_run(None, "none", {"none": run}), ax)
    assert np.isfinite(drawn.artists["none"].get_ydata()).tolist() == [True, True, False, False]
    assert drawn.artists["none out"].get_xydata().tolist() == [[2.0, 6.0]]


def test_curvature_beside_its_limit(ax):
    drawn = draw_curvature_on_the_way(normalization_run(None), ax)
    assert drawn.artists["batch"].get_xydata().tolist() == [[0, 50], [2, 20], [8, 10], [20, 5]]
    assert drawn.artists["limit"].get_ydata() == [20.0, 20.0]
    assert ax.get_yscale() == "log"


def test_curvature_that_is_not_known_is_left_out(ax):
    run = ShortRun(np.array([2.0, 4.0]), np.array([1.0, np.nan]))
    drawn = draw_curvature_on_the_way(normalization_run(None, "none", {"none": run}), ax)
    assert drawn.artists["none"].get_xydata().tolist() == [[0.0, 1.0]]
