"""Ways over a plane: those of optimizers, and the step off a saddle."""

import numpy as np
import pytest

from diagkit.errors import InputError
from diagkit.plots import draw
from diagkit.plots.plane_paths import escape_path
from plots.plot_cases import connection, escape, plane, trajectory


def legend(drawn):
    return [text.get_text() for text in drawn.artists["legend"].get_texts()]


def spiral(turns=1.0, n=20):
    angle = np.linspace(0, 2 * np.pi * turns, n)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) * np.linspace(1.5, 0.1, n)[:, None]


def test_a_path_is_drawn_with_arrows(ax):
    path = [[1.0, 1.0], [0.5, 0.2], [0.0, 0.0]]
    drawn = draw(plane(), ax, path=path, path_label="training")
    assert [line.get_xydata().tolist() for line in drawn.artists["paths"]] == [path]
    assert "training" in legend(drawn)
    assert len(ax.texts) == 2, "one arrow for each move"


@pytest.mark.parametrize(
    "path", [[1.0, 2.0], [[1.0, np.nan]], np.zeros((0, 2)), np.zeros((2, 3)), {"one": [1.0, 2.0]}]
)
def test_a_bad_path_is_refused(path):
    with pytest.raises(InputError, match="path"):
        draw(plane(), path=path)
    with pytest.raises(InputError, match="path"):
        draw(plane(), path=path, view="3d")


def test_several_paths_differ_in_more_than_colour(ax):
    paths = {name: spiral(turns) for name, turns in (("SGD", 0.5), ("Adam", 1.0), ("Lion", 1.5))}
    drawn = draw(plane(), ax, path=paths)
    lines = drawn.artists["paths"]
    assert [line.get_label() for line in lines] == list(paths)
    assert set(paths) <= set(legend(drawn))
    for line, way in zip(lines, paths.values(), strict=True):
        np.testing.assert_array_equal(line.get_xydata(), way)
    for cue in ("get_color", "get_linestyle"):
        assert len({getattr(line, cue)() for line in lines}) == 3
    starts = [line for line in ax.lines if line.get_marker() in "os^" and len(line.get_xdata()) == 1]
    assert len({line.get_marker() for line in starts}) == 3


@pytest.mark.parametrize("result", [trajectory(), connection()])
def test_paths_of_results_are_drawn(ax, result):
    drawn = draw(plane(extent=3.5), ax, path=result.path)
    assert len(drawn.artists["paths"][0].get_xydata()) == len(result.path)


def test_arrows_are_spread_over_the_way_and_not_over_the_points(ax):
    crowded = np.concatenate([[[-1.5, 0.0], [1.0, 0.0]], [1.0, 0.0] + np.linspace(0, 0.01, 500)[:, None]])
    draw(plane(), ax, path=crowded)
    assert len(ax.texts) == 2, "one for the long move, one at the end"
    assert ax.texts[-1].xy == tuple(crowded[-1])


def test_a_path_that_leaves_the_picture_says_so(ax):
    assert "path (leaves the picture)" in legend(draw(plane(), ax, path=[[0.0, 0.0], [9.0, 0.0]]))


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
