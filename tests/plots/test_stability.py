import numpy as np
import pytest

from diagkit.plots import draw
from plots.plot_cases import split, stability, track


@pytest.mark.parametrize(
    ("sharpness", "residual", "words"),
    [(5.0, 0.1, "stable"), (20.0, 0.1, "unstable"), (9.95, 0.2, "not decided"), (-3.0, 0.1, "stable")],
)
def test_the_gauge(ax, sharpness, residual, words):
    drawn = draw(stability(sharpness, residual), ax)
    line, _, (error,) = drawn.artists["sharpness"]
    assert line.get_xdata()[0] == pytest.approx(sharpness / 10)
    np.testing.assert_allclose(error.get_segments()[0][:, 0], (sharpness + residual * np.r_[-1, 1]) / 10)
    assert drawn.artists["limit"].get_xdata() == [1.0, 1.0]
    low, high = ax.get_xlim()
    assert low <= sharpness / 10 <= high
    assert ax.get_title().endswith(words)


def test_the_track_shows_values_and_limit(ax):
    result = track()
    drawn = draw(result, ax)
    np.testing.assert_array_equal(drawn.artists["value_1"][0].get_ydata(), result.values[:, 0])
    np.testing.assert_array_equal(drawn.artists["limit"].get_ydata(), result.limits)
    styles = {
        (drawn.artists[n][0].get_color(), drawn.artists[n][0].get_marker()) for n in ("value_1", "value_2")
    }
    assert len({color for color, _ in styles}) == len({marker for _, marker in styles}) == 2


def test_a_track_without_limit_has_no_line(ax):
    assert "limit" not in draw(track(limits=np.full(3, np.nan)), ax).artists


def test_a_wide_range_is_logarithmic(ax):
    draw(track(values=np.array([[1.0, 0.5], [10.0, 5.0], [100.0, 50.0]])), ax)
    assert ax.get_yscale() == "log"
    assert "log scale" in ax.get_ylabel()


def test_parts_add_up(ax):
    result = split()
    drawn = draw(result, ax)
    heights = [
        np.array([bar.get_height() for bar in drawn.artists[name]]) for name in ("gauss_newton", "rest")
    ]
    np.testing.assert_allclose(heights[0], result.shares[:2].tolist() * result.hessian.values[:2])
    np.testing.assert_allclose(sum(heights), result.hessian.values)
    assert [text.get_text() for text in drawn.artists["shares"]] == ["75 %", "120 %"]


def test_a_share_that_is_not_known_is_a_question(ax):
    drawn = draw(split(shares=np.array([0.75, np.nan])), ax)
    assert [text.get_text() for text in drawn.artists["shares"]] == ["75 %", "?"]
