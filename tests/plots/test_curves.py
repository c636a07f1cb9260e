import numpy as np
import pytest

from diagkit.plots import draw
from plots.plot_cases import escape, line, straight_way


def legend(drawn):
    return [text.get_text() for text in drawn.artists["legend"].get_texts()]


def test_the_line_shows_its_numbers_and_the_centre(ax):
    result = line()
    drawn = draw(result, ax)
    np.testing.assert_array_equal(drawn.artists["loss"].get_ydata(), result.loss)
    assert drawn.artists["here"].get_xydata().tolist() == [[0.0, 1.0]]


def test_the_parabola_is_drawn_as_measured_and_does_not_stretch_the_axes(ax):
    drawn = draw(line(slope=1.0, curvature=-200.0), ax)
    t, parabola = drawn.artists["parabola"].get_data()
    seen = np.isfinite(parabola)
    np.testing.assert_allclose(parabola[seen], (1 + t - 100 * t**2)[seen])
    assert not seen.all()
    assert ax.get_ylim()[0] > -1
    assert "curvature −200, good nowhere" in legend(drawn)


@pytest.mark.parametrize(("cubic", "words"), [(0.0, "good all along"), (0.4, "good to ±0.2")])
def test_where_the_parabola_holds_is_shaded(ax, cubic, words):
    result = line(lambda t: 1 + t**2 + cubic * np.abs(t) ** 3, slope=0.0, curvature=2.0)
    drawn = draw(result, ax)
    t = drawn.artists["holds"].get_xdata()
    assert np.abs(t).max() == pytest.approx(result.parabola_holds_to, abs=0.005)
    assert f"curvature 2, {words}" in legend(drawn)


def test_the_foretold_minimum_stands_beside_the_loss_there(ax):
    result = line(lambda t: 1 - t + t**2, slope=-1.0, curvature=2.5)  # foretold at t = 0.4: 0.8; it is 0.76
    drawn = draw(result, ax)
    np.testing.assert_allclose(drawn.artists["minimum"].get_xydata(), [[0.4, 0.8], [0.4, 0.76]])
    assert "lowest: 0.8 foretold, 0.76 is" in legend(drawn)


@pytest.mark.parametrize(("slope", "curvature"), [(-1.0, -2.0), (-3.0, 2.0), (1e-3, 2.0)])
def test_no_minimum_is_drawn_where_there_is_none_to_see(ax, slope, curvature):
    assert "minimum" not in draw(line(slope=slope, curvature=curvature), ax).artists


def test_without_a_measured_parabola_there_is_none(ax):
    assert not {"parabola", "holds", "minimum"} & set(draw(line(), ax).artists)
    assert "parabola" not in draw(line(lambda t: np.nan * t, slope=1.0, curvature=1.0), ax).artists


def test_the_barrier_is_an_arrow_from_the_chord_to_the_loss(ax):
    result = straight_way(lambda t: 0.5 + t + 8 * t * (1 - t))
    drawn = draw(result, ax)
    np.testing.assert_allclose(drawn.artists["chord"].get_ydata()[[0, -1]], [0.5, 1.5])
    arrow = drawn.artists["barrier"]
    np.testing.assert_allclose([arrow.xy, arrow.xyann], [[0.5, 1.0], [0.5, 3.0]])
    _, high = result.barrier_interval
    assert ax.get_title().splitlines()[1] == f"barrier 2 (2 to {high:.3g})"
    assert "other point: loss 1.5" in legend(drawn)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (lambda t: 1 + t**2, "no barrier seen (at most "),
        (lambda t: np.where(t == 1, np.nan, 1 + t), "barrier undecided"),
        (lambda t: np.where(t == 0.9, np.nan, 1 + 4 * t * (1 - t)), "barrier 1 (at least 1)"),
    ],
)
def test_a_barrier_is_claimed_only_where_it_is_proved(ax, loss, words):
    drawn = draw(straight_way(loss), ax)
    assert words in ax.get_title()
    assert ("barrier" in drawn.artists) == words.startswith("barrier 1")


def test_lines_through_one_point_share_star_and_axes(ax):
    one, other = line(kind="lowest curvature"), line(lambda t: 1 + t**2, kind="highest curvature")
    assert "here" in draw(one, ax).artists
    drawn = draw(other, ax)
    assert "here" not in drawn.artists
    assert ax.get_xlabel() == "t: step along each direction (in its unit)"
    assert ax.get_title() == "Loss along lines through the model"
    assert {"lowest curvature", "highest curvature"} <= set(legend(drawn))


def test_words_of_the_caller_stay_when_a_second_line_comes(ax):
    ax.set(title="mine", xlabel="my t")
    draw(line(kind="lowest curvature"), ax)
    draw(line(kind="highest curvature"), ax)
    assert (ax.get_title(), ax.get_xlabel()) == ("mine", "my t")


def test_gaps_are_marked(ax):
    drawn = draw(line(lambda t: np.where(t > 0.5, np.inf, t)), ax)
    np.testing.assert_allclose(drawn.artists["not_finite"].get_xdata(), [0.6, 0.8, 1.0])


@pytest.mark.parametrize("value", [0.0, 2.3, np.nan])
def test_constant_and_empty_lines(ax, value):
    assert "loss" in draw(line(lambda t: value + 0 * t), ax).artists


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
