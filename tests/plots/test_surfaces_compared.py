"""Pictures that compare: curve and line, training and validation, plane and plane."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

from diagkit.plots import draw, style
from plots.plot_cases import connection, many_planes, no_shift, plane, shift


def legend(drawn):
    return [text.get_text() for text in drawn.artists["legend"].get_texts()]


def test_curve_and_line_are_drawn_with_their_barriers(ax):
    result = connection()
    drawn = draw(result, ax)
    np.testing.assert_array_equal(drawn.artists["curve"].get_ydata(), result.loss)
    np.testing.assert_array_equal(drawn.artists["line"].get_ydata(), result.line_loss)
    assert drawn.artists["highest"].get_xydata().tolist() == [[0.5, pytest.approx(0.3)]]
    assert drawn.artists["ends"].get_ydata().tolist() == [0.2, 0.2]
    assert "straight line: rises by 2" in legend(drawn)
    assert "trained curve: rises by 0.1" in legend(drawn)
    looks = {(drawn.artists[n].get_color(), drawn.artists[n].get_linestyle()) for n in ("curve", "line")}
    assert len({color for color, _ in looks}) == len({dashes for _, dashes in looks}) == 2
    assert ax.get_title() == "A low path joins the two\ncurve 1.5 times as long as the line"


def test_no_path_found_is_not_called_none(ax):
    draw(connection("no low path found", 1.0), ax)
    assert "was found" in ax.get_title()


def test_a_curve_that_was_not_evaluated(ax):
    nan = np.full(11, np.nan)
    drawn = draw(connection("undecided", loss=nan, max_loss=np.nan, barrier=np.nan, complete=False), ax)
    assert "highest" not in drawn.artists
    assert "partial" in ax.get_title()


def test_nothing_measured_is_said(ax):
    nan = np.full(11, np.nan)
    draw(connection("undecided", loss=nan, line_loss=nan, max_loss=np.nan, complete=False), ax)
    assert "nothing was measured" in [text.get_text() for text in ax.texts]


def test_the_shift_is_an_arrow_from_training_to_validation(ax):
    result = shift()
    drawn = draw(result, ax)
    assert drawn.artists["arrow"].xyann == tuple(result.train_minimum.where)
    assert drawn.artists["arrow"].xy == tuple(result.val_minimum.where)
    assert drawn.artists["error"].get_width() == pytest.approx(4 * result.shift_error[0])
    assert "cost in validation loss 0.38, foretold 0.38" in ax.get_title()
    low, high = ax.get_xlim()
    assert low < 0 < 0.5 < high < 2.0, "the part around the minima"


def test_height_lines_are_as_far_above_each_own_lowest(ax):
    drawn = draw(shift(), ax)
    above = [
        np.array(drawn.artists[n].levels) - drawn.artists[n].levels[0] for n in ("training", "validation")
    ]
    np.testing.assert_allclose(above[0], above[1])
    assert (np.diff(above[0]) > 0).all()


def test_a_minimum_that_was_not_found_is_not_drawn(ax):
    drawn = draw(no_shift(), ax)
    assert "arrow" not in drawn.artists
    assert ax.get_xlim() == (-2.0, 2.0), "the whole picture"
    assert not any("minimum" in text for text in legend(drawn))


def test_surfaces_with_holes_are_drawn(ax):
    hole = plane(lambda a, b: np.where(a + b > 3, np.nan, a**2 + b**2), n=17)
    assert "training" in draw(shift(train=hole), ax).artists


def test_a_tile_for_each_plane_with_one_scale(ax):
    result = many_planes()
    drawn = draw(result, ax)
    tiles = drawn.artists["tiles"]
    assert [tile.get_title() for tile in tiles] == ["convex", "bump 30 %", "convex"]
    edges = [to_hex(tile.spines["left"].get_edgecolor()).upper() for tile in tiles]
    assert edges == [style.GREY, style.VERMILLION, style.GREY]
    low, high = drawn.artists["colorbar"].mappable.get_clim()
    assert low <= 1.0
    assert high >= 9.0
    for tile in tiles:
        bands = next(c for c in tile.collections if hasattr(c, "levels"))
        assert (bands.levels[0], bands.levels[-1]) == (low, high)
    assert "2 of 3 random planes look convex" in ax.get_title()
    assert "negative curvature (−1)" in ax.get_title()


@pytest.mark.parametrize("count", [1, 5, 6, 10, 12])
def test_tiles_do_not_overlap(ax, count):
    tiles = draw(many_planes((True,) * count), ax).artists["tiles"]
    ax.figure.canvas.draw()
    boxes = [tile.get_tightbbox() for tile in tiles]
    for k, one in enumerate(boxes):
        assert not one.shrunk(0.98, 0.98).count_overlaps(boxes[:k])


def test_planes_without_a_finite_loss(ax):
    empty = plane(lambda a, b: a * np.nan)
    result = many_planes((False,), planes=(empty,), bumps=np.array([np.inf]), lowest=1.0)
    drawn = draw(result, ax)
    assert drawn.artists["tiles"][0].get_title() == "not finite"
    assert "no negative curvature was proven" in ax.get_title()
