import numpy as np
import pytest

from diagkit.errors import InputError
from diagkit.plots import draw
from plots.plot_cases import escape, line


def test_the_line_shows_its_numbers_and_the_centre(ax):
    result = line()
    drawn = draw(result, ax)
    np.testing.assert_array_equal(drawn.artists["loss"].get_ydata(), result.loss)
    assert drawn.artists["here"].get_xydata().tolist() == [[0.0, 1.0]]


def test_the_parabola_is_dashed_and_does_not_stretch_the_axes(ax):
    drawn = draw(line(), ax, curvature=-200.0, slope=1.0)
    parabola = drawn.artists["parabola"]
    assert parabola.get_linestyle() == "--"
    assert parabola.get_ydata()[-1] == pytest.approx(1 + 1 - 100)
    assert ax.get_ylim()[0] > -1


def test_gaps_are_marked(ax):
    drawn = draw(line(lambda t: np.where(t > 0.5, np.inf, t)), ax)
    np.testing.assert_allclose(drawn.artists["not_finite"].get_xdata(), [0.6, 0.8, 1.0])


@pytest.mark.parametrize("value", [0.0, 2.3, np.nan])
def test_constant_and_empty_lines(ax, value):
    assert "loss" in draw(line(lambda t: value + 0 * t), ax).artists


def test_a_parabola_needs_a_centre():
    with pytest.raises(InputError, match="t = 0 is not finite"):
        draw(line(lambda t: np.nan * t), curvature=1.0)
    with pytest.raises(InputError, match="curvature"):
        draw(line(), curvature=np.nan)


def test_a_very_wide_range_is_logarithmic(ax):
    draw(line(lambda t: 10.0 ** (3 * t)), ax)
    assert ax.get_yscale() == "log"
    assert ax.get_ylabel() == "loss (log scale)"


def test_lines_on_the_same_axes_differ_in_more_than_colour(ax):
    curves = [draw(line(), ax, name=name).artists["loss"] for name in ("first", "second", "third")]
    for cue in ("get_color", "get_linestyle", "get_marker"):
        assert len({getattr(curve, cue)() for curve in curves}) == 3


def test_the_escape_shows_start_end_and_prediction(ax):
    result = escape()
    drawn = draw(result, ax)
    assert drawn.artists["start"].get_xydata().tolist() == [[0.0, 2.0]]
    assert drawn.artists["end"].get_xydata().tolist() == [[-1.5, 1.0]]
    t, parabola = drawn.artists["parabola"].get_data()
    np.testing.assert_allclose(parabola, 2 + 0.1 * t - 0.5 * t**2)
    assert drawn.artists["start"].get_marker() != drawn.artists["end"].get_marker()
    assert "2 → 1" in ax.get_title()


def test_a_wild_end_of_the_search_does_not_hide_the_drop(ax):
    result = escape()
    result.loss[0] = 1e9
    draw(result, ax)
    assert ax.get_ylim()[1] < 3


def test_no_escape_is_said(ax):
    draw(escape(t=(0.0,), step=0.0, escaped=False, loss_after=2.0), ax)
    assert ax.get_title() == "No escape tried: no negative curvature proven"


def test_an_escape_that_failed_is_said(ax):
    draw(escape(step=0.0, escaped=False, loss_after=2.0), ax)
    assert ax.get_title() == "No escape: no step lowered the loss"
