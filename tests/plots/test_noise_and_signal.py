"""The numbers drawn for gradient noise, signals over depth, feature scaling and the gradient step."""

import numpy as np
import pytest

from diagkit.training import fit_scaling, noise_annealing
from plots.plot_cases import noise_of_layers, predictiveness, signal


def test_the_annealing_and_where_half_is_left():
    drawn = noise_annealing(2.0, 0.5, 50).plot()
    assert np.array_equal(drawn.artists["sigma"].get_ydata(), 2.0 / (1 + np.arange(50)) ** 0.5)
    assert drawn.artists["half"].get_xydata().tolist() == [[3.0, 1.0]]
    assert "half" not in noise_annealing(2.0, 0.5, 3).plot().artists, "not within the run"


def test_levels_can_be_compared_on_one_axis():
    for c in (0.1, 2.0):
        ax = noise_annealing(c, 0.5, 50).plot(span=(1e-3, 30.0)).ax
        assert (ax.get_yscale(), ax.get_ylim()) == ("log", (1e-3, 30.0))


def test_sizes_are_relative_to_where_their_way_starts():
    drawn = signal(factor=4.0, layers=5).plot()
    sizes = drawn.artists["gradient"].lines[0].get_ydata()
    assert sizes == pytest.approx([8.0, 4.0, 2.0, 1.0]), "norms, from the last hidden layer backwards"
    assert drawn.artists["signal"].lines[0].get_ydata() == pytest.approx(np.ones(4))
    assert "norm × 2 per layer" in drawn.ax.get_title()
    assert "dead" not in drawn.ax.get_title()
    assert "up to 25 % dead units (layer fc0)" in signal(dead=0.25).plot().ax.get_title()


def test_gradients_that_are_zero_are_left_out():
    norms = np.array([0.0, 0.0, 1.0, 2.0, 1.0])
    sizes = signal(gradient_sq_norms=norms).plot().artists["gradient"].lines[0]
    assert sizes.get_xdata().tolist() == [3, 4]


def test_ratios_grow_with_the_batch():
    drawn = noise_of_layers((0.5, 0.01, 0.0)).plot(batch_size=8)
    assert drawn.artists["points"].get_xdata() == pytest.approx([4.0, 0.08])
    assert drawn.artists["unresolved"].get_xydata() == pytest.approx(np.array([[0.016, 2.0]]))
    assert "a batch of 8" in drawn.ax.get_xlabel()


def test_quantiles_before_and_after_scaling():
    X = np.arange(101.0)[:, None] * [1.0, 100.0]
    drawn = fit_scaling(X, "min-max").plot()
    assert drawn.artists["before"]["median"].get_xdata() == pytest.approx([50.0, 5000.0])
    assert drawn.artists["after"]["median"].get_xdata() == pytest.approx([0.5, 0.5])
    widths = [bar.get_width() for bar in drawn.artists["after"]["half"]]
    assert widths == pytest.approx([0.5, 0.5])


def test_both_ratios_along_the_step():
    drawn = predictiveness(curvature=4.0, lr=0.1).plot()
    eta = 0.1 * np.linspace(0.5, 4.0, 8)
    assert drawn.artists["fall"].get_ydata() == pytest.approx(1 - 2 * eta)
    assert drawn.artists["change"].get_ydata() == pytest.approx(4 * eta)
    assert "rises" not in drawn.artists
    assert "rises" in predictiveness(curvature=12.0).plot().artists
