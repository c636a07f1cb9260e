"""Pictures of four losses: the numbers drawn."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from diagkit.plots import draw, draw_start_gradient, draw_start_loss
from plots.study_cases import label_losses


@pytest.fixture
def ax():
    figure, made = plt.subplots()
    yield made
    plt.close(figure)


def test_the_median_of_the_seeds_is_drawn(ax):
    drawn = draw(label_losses(), ax)
    line = drawn.artists["cross-entropy"]
    assert line.get_xydata().tolist() == [[0, 0.1], [10, 0.55], [20, 0.95]]
    assert line.get_label() == "cross-entropy"
    assert ax.get_title() == "SGD, η = 0.3, head start b = 10, 2 seeds"


def test_what_diverged_is_said_and_what_is_left_is_drawn(ax):
    line = draw(label_losses(), ax).artists["squared, scores"]
    assert line.get_label() == "squared, scores (1 of 2 diverged)"
    assert line.get_ydata().tolist() == pytest.approx([0.1, 0.2, 0.3])


def test_the_legend_is_whole_before_anything_is_known(ax):
    drawn = draw(label_losses({}), ax)
    assert len(drawn.artists["legend"].get_texts()) == 4
    assert drawn.artists["cross-entropy"].get_xydata().size == 0


def test_over_the_head_starts_only_what_depends_on_them_is_drawn(ax):
    drawn = draw_start_loss(label_losses(head_start=5.0), ax)
    assert set(drawn.artists) == {"cross-entropy", "here"}
    assert drawn.artists["cross-entropy"].get_ydata() == pytest.approx(np.linspace(0, 1, 21))
    assert drawn.artists["here"].get_xdata() == [5.0, 5.0]


def test_gradients_have_a_logarithmic_axis(ax):
    drawn = draw_start_gradient(label_losses(), ax)
    assert ax.get_yscale() == "log"
    assert (drawn.artists["cross-entropy"].get_ydata() == 1.0).all()
