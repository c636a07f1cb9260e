"""A descent: what is on the three pictures, and where the picture ends."""

import numpy as np
import pytest

from diagkit.errors import InputError
from diagkit.plots import draw, draw_descent_map
from plots.plot_cases import descent, plane


def valley(**changes):
    return plane(lambda a, b: 0.5 * (a**2 + 10 * b**2), n=21, **changes)


def test_the_loss_is_drawn_at_every_step(ax):
    path = descent()
    drawn = draw(path, ax, target=1e-3)
    np.testing.assert_array_equal(drawn.artists["loss"].get_ydata(), path.loss)
    assert ax.get_yscale() == "log"
    assert drawn.artists["target"].get_ydata()[0] == 1e-3
    assert "diverges" not in drawn.artists


def test_the_curvature_is_drawn_in_units_of_its_limit(ax):
    drawn = draw(descent(), ax, view="limit")
    np.testing.assert_allclose(drawn.artists["scaled"].get_ydata(), 1.5)
    np.testing.assert_allclose(drawn.artists["limit"].get_ydata()[0], 2.0)
    assert drawn.artists["unstable"].get_y() == pytest.approx(2.0)


def test_what_leaves_the_picture_stays_on_its_border(ax):
    far = descent(rate=2.0, loss=np.geomspace(1, 1e30, 11), ended_by="diverged")
    assert draw(far, ax).artists["loss"].get_ydata().max() == ax.get_ylim()[1]
    assert "diverges" in draw(far, ax).artists
    ax.clear()
    assert draw(far, ax, view="limit").artists["scaled"].get_ydata().max() == ax.get_ylim()[1]


def test_losses_that_are_no_numbers_are_at_the_top(ax):
    path = descent(loss=np.r_[np.ones(9), np.inf, np.nan], ended_by="diverged")
    assert draw(path, ax).artists["loss"].get_ydata()[-1] == ax.get_ylim()[1]


def test_without_a_limit_it_says_so(ax):
    nothing = np.full(11, np.nan)
    assert "unknown" in draw(descent(limits=nothing, sharpness=nothing), ax, view="limit").artists


def test_the_way_over_the_surface(ax):
    path = descent()
    drawn = draw_descent_map(valley(), path, ax)
    np.testing.assert_array_equal(np.array(drawn.artists["way"].get_data()).T, path.theta)
    assert drawn.artists["start"].get_data()[0][0] == 1.0
    assert drawn.artists["end"].get_data()[0][0] == path.theta[-1, 0]
    assert (ax.get_xlim(), ax.get_xlabel(), ax.get_ylabel()) == ((-2.0, 2.0), "$w_1$", "$w_2$")


def test_the_centre_moves_the_window_and_not_the_path(ax):
    drawn = draw_descent_map(valley(), descent(), ax, centre=(1.0, 3.0))
    assert (ax.get_xlim(), ax.get_ylim()) == ((-1.0, 3.0), (1.0, 5.0))
    assert drawn.artists["start"].get_data()[1][0] == 1.0


@pytest.mark.parametrize("rate", [0.5, 1e6])
def test_a_path_that_leaves_is_cut_and_named(ax, rate):
    drawn = draw_descent_map(valley(), descent(rate), ax)
    assert np.abs(drawn.artists["way"].get_data()).max() <= 8.0
    assert drawn.artists["outside"].get_text() == "leaves the picture"
    ax.figure.canvas.draw()


def test_a_start_that_cannot_be_seen_is_said(ax):
    drawn = draw_descent_map(valley(), descent(theta=np.full((11, 2), 1e200)), ax)
    assert "far outside" in drawn.artists["outside"].get_text()
    assert draw_descent_map(valley(loss=np.full((21, 21), np.nan)), None, ax).artists == {"bands": None}


def test_another_view_is_refused():
    with pytest.raises(InputError, match="'loss' or 'limit'"):
        descent().plot(view="map")
