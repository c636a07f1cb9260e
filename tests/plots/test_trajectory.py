import matplotlib.pyplot as plt
import numpy as np
import pytest

import diagkit as dk
from diagkit.plots import draw
from plots.plot_cases import trajectory


def heights(bars):
    return [bar.get_height() for bar in bars]


def test_what_is_explained_stands_beside_the_random_walk():
    drawn = draw(trajectory((0.9, 0.06)))
    assert heights(drawn.artists["explained"]) == pytest.approx([90, 6, 96])
    assert heights(drawn.artists["random_walk"]) == pytest.approx([61, 15, 76])
    assert drawn.artists["random_walk"][0].get_hatch(), "told apart without colour"
    left = drawn.artists["left"]
    assert left.get_xticklabels()[2].get_text() == "both"
    assert "%" in left.get_ylabel()


def test_both_losses_and_their_largest_difference():
    result = trajectory()
    drawn = draw(result)
    np.testing.assert_array_equal(drawn.artists["on_path"].get_ydata(), result.loss_on_path)
    np.testing.assert_array_equal(drawn.artists["on_plane"].get_ydata(), result.loss_on_plane)
    at = int(np.abs(result.loss_on_path - result.loss_on_plane).argmax())
    assert list(drawn.artists["difference"].get_xdata()) == [at, at]
    assert "0.299" in drawn.artists["difference"].get_label()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_counted(bad):
    loss = np.linspace(2.0, 1.0, 20)
    loss[:3] = bad
    drawn = draw(trajectory(loss_on_path=loss))
    assert drawn.artists["not_finite"].get_label() == "no number: 3 of 40"
    assert "largest difference" in drawn.artists["difference"].get_label()
    assert "difference" not in draw(trajectory(loss_on_path=loss * np.nan, complete=False)).artists


def test_a_wide_range_is_logarithmic_and_says_so():
    drawn = draw(trajectory(loss_on_plane=np.geomspace(100.0, 0.5, 20)))
    assert drawn.ax.get_yscale() == "log"
    assert drawn.ax.get_ylabel() == "loss (log scale)"


def test_room_is_made_within_the_place_that_was_given():
    figure, (first, second) = plt.subplots(1, 2, figsize=(14, 5), layout="constrained")
    drawn = draw(trajectory(), first)
    figure.canvas.draw()
    boxes = [axes.get_window_extent() for axes in (drawn.artists["left"], drawn.ax, second)]
    assert boxes[0].x1 < boxes[1].x0 < boxes[1].x1 < boxes[2].x0
    free = plt.figure().add_axes((0.1, 0.2, 0.8, 0.7))
    drawn = draw(trajectory(), free)
    box = drawn.artists["left"].get_position()
    assert (box.x0, box.y0) == pytest.approx((0.1, 0.2))
    assert drawn.ax.get_position().x1 == pytest.approx(0.9)


def test_it_fits_where_results_are_shown():
    assert trajectory().to_png().startswith(b"\x89PNG")
    assert isinstance(trajectory(), dk.TrajectoryPlane)
