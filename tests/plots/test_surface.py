from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import LogNorm

from diagkit.errors import InputError
from diagkit.plots import draw
from diagkit.plots.levels import linear_levels, log_levels
from diagkit.plots.plane_paths import escape_path
from plots.plot_cases import escape, plane


def legend(drawn):
    return [text.get_text() for text in drawn.artists["legend"].get_texts()]


def test_a_runs_to_the_right_and_b_upwards(ax):
    drawn = draw(plane(lambda a, b: 10 * a + b), ax, levels=4)
    bands = drawn.artists["bands"]
    vertices = np.vstack([path.vertices for path in bands.get_paths() if len(path.vertices)][-1:])
    assert vertices[:, 0].mean() > 0.5, "the highest band lies where a is large"
    assert ax.get_xlabel().startswith("a: step along the lowest curvature")
    assert ax.get_ylabel().startswith("b: step along the highest curvature")


def test_the_centre_is_marked_and_its_level_drawn(ax):
    drawn = draw(plane(), ax)
    assert drawn.artists["here"].get_xydata().tolist() == [[0.0, 0.0]]
    assert drawn.artists["same_loss"].levels.tolist() == [0.0]
    assert "here: loss 0" in legend(drawn)


def test_at_a_minimum_there_is_no_line_of_the_same_loss(ax):
    assert "same_loss" not in draw(plane(lambda a, b: a**2 + b**2), ax).artists


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_cells_that_are_not_finite_are_hatched_and_counted(ax, bad):
    drawn = draw(plane(lambda a, b: np.where(a + b > 3, bad, a - b)), ax)
    assert drawn.artists["unknown"].get_hatch()
    assert "loss not finite (3 cells)" in legend(drawn)


def test_nothing_finite_is_said(ax):
    drawn = draw(plane(lambda a, b: a * np.nan), ax)
    assert "no finite loss" in drawn.artists["empty"].get_text()
    assert "colorbar" not in drawn.artists
    assert "here: loss not finite" in legend(drawn)


def test_what_was_not_computed_is_not_called_infinite(ax):
    full = plane()
    done = np.zeros_like(full.evaluated)
    done[::4, ::4] = True
    drawn = draw(replace(full, loss=np.where(done, full.loss, np.nan), evaluated=done, complete=False), ax)
    assert f"not computed ({(~done).sum()} cells)" in legend(drawn)
    assert len(drawn.artists["bands"].get_offsets()) == done.sum(), "lone cells are drawn as squares"
    assert "partial" in ax.get_title()


@pytest.mark.parametrize("value", [2.3, 0.0, -1.0, 1e-30])
def test_constant_loss(ax, value):
    drawn = draw(plane(lambda a, b: value + 0 * a), ax)
    low, high = drawn.artists["bands"].levels
    assert low < value < high
    assert len(drawn.artists["colorbar"].get_ticks()) == 1


@pytest.mark.parametrize("n", [3, 4])
def test_coarsest_planes(ax, n):
    assert "bands" in draw(plane(n=n), ax).artists


def test_a_wide_range_gets_log_levels_and_says_so(ax):
    drawn = draw(plane(lambda a, b: 1e-3 + a**2 + b**2), ax)
    assert isinstance(drawn.artists["bands"].norm, LogNorm)
    assert drawn.artists["colorbar"].ax.get_ylabel() == "loss (log scale)"


def test_exact_zeros_do_not_break_the_log_scale(ax):
    bands = draw(plane(lambda a, b: (a**2 + b**2) ** 3), ax).artists["bands"]
    assert isinstance(bands.norm, LogNorm)
    assert bands.levels[0] > 0


@pytest.mark.parametrize("f", [lambda a, b: 1 + a**2, lambda a, b: 1e3 * (a**2 - 1e-3)])
def test_a_narrow_range_and_one_with_negative_values_stay_linear(ax, f):
    drawn = draw(plane(f), ax)
    assert not isinstance(drawn.artists["bands"].norm, LogNorm)
    assert drawn.artists["colorbar"].ax.get_ylabel() == "loss"


def test_cells_option_shows_what_was_computed(ax):
    some = plane()
    some.evaluated[1::2] = False
    assert len(draw(some, ax, cells=True).artists["cells"].get_offsets()) == some.evaluated.sum()
    assert "cells" not in draw(some, ax).artists


def test_a_path_is_drawn_with_arrows(ax):
    path = [[1.0, 1.0], [0.5, 0.2], [0.0, 0.0]]
    drawn = draw(plane(), ax, path=path, path_label="training")
    assert drawn.artists["path"].get_xydata().tolist() == path
    assert "training" in legend(drawn)
    assert len(ax.texts) == 2, "one arrow for each move"


@pytest.mark.parametrize("path", [[1.0, 2.0], [[1.0, np.nan]], np.zeros((0, 2)), np.zeros((2, 3))])
def test_a_bad_path_is_refused(path):
    with pytest.raises(InputError, match="path"):
        draw(plane(), path=path)


@pytest.mark.parametrize("levels", [1, 2.5, True])
def test_bad_levels_are_refused(levels):
    with pytest.raises(InputError, match="levels"):
        draw(plane(), levels=levels)


@pytest.mark.parametrize(("direction", "end"), [([1, 0, 0, 0], -1.5), ([-1, 0, 0, 0], 1.5)])
def test_the_escape_follows_the_sign_of_the_eigenvector(ax, direction, end):
    drawn = draw(plane(), ax, escape=escape(direction=direction))
    np.testing.assert_allclose(drawn.artists["escape"].get_xydata(), [[0, 0], [end, 0]], atol=1e-12)


def test_an_escape_beyond_the_border_is_cut_there():
    way = escape_path(plane(), escape(step=-5.0))
    np.testing.assert_allclose(way.ends[1], [-2.0, 0.0], atol=1e-12)
    assert "outside" in way.name


def test_an_escape_out_of_the_plane_is_refused():
    with pytest.raises(InputError, match="0 % of its step"):
        draw(plane(), escape=escape(direction=[0, 0, 1, 0]))
    with pytest.raises(InputError, match="5 parameters"):
        draw(plane(), escape=escape(direction=np.eye(5)[0]))


def test_no_escape_is_named(ax):
    assert "no escape found" in legend(draw(plane(), ax, escape=escape(step=0.0, escaped=False)))


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (1.83, 5.1), (-3.0, 1e-9), (2.0, 2.0 + 1e-9), (1e-20, 3e-20)]
)
def test_linear_levels_enclose_the_range(low, high):
    levels = linear_levels(low, high, 12)
    assert levels[0] <= low < high <= levels[-1]
    assert (np.diff(levels) > 0).all()
    assert 4 <= len(levels) <= 15


@pytest.mark.parametrize(
    ("low", "high"), [(1.0, 31.0), (0.02, 2.0), (1e-12, 1.0), (3e-7, 5e200), (1e-3, 1e-1)]
)
def test_log_levels_enclose_the_range(low, high):
    levels = log_levels(low, high, 9)
    assert levels[0] <= low < high <= levels[-1]
    assert (np.diff(levels) > 0).all()
    assert 3 <= len(levels) <= 16
