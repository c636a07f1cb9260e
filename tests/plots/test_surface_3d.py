"""The loss over a plane as a surface."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from diagkit.errors import InputError
from diagkit.plots import draw
from diagkit.plots.surface_3d import ASIDE, in_pieces
from plots.plot_cases import between, plane


@pytest.fixture
def ax3d():
    axes = plt.figure(layout="constrained").add_subplot(projection="3d")
    yield axes
    axes.figure.canvas.draw()


def heights(line):
    return np.asarray(line.get_data_3d()[2])


def ticks(axes):
    return {label.get_text(): z for label, z in zip(axes.get_zticklabels(), axes.get_zticks(), strict=True)}


def test_height_is_the_loss_and_colour_too(ax3d):
    result = plane(lambda a, b: 1 + a / 2 + 0.1 * b)
    surface = draw(result, ax3d, view="3d").artists["surface"]
    means = (result.loss[:-1, :-1] + result.loss[1:, :-1] + result.loss[:-1, 1:] + result.loss[1:, 1:]) / 4
    np.testing.assert_allclose(np.sort(surface.get_array()), np.sort(means.ravel()), atol=1e-12)
    assert ax3d.get_zlabel() == "loss"
    low, high = surface.get_clim()
    flat = draw(result).artists["bands"]
    assert (low, high) == flat.get_clim()


def test_a_wide_range_is_logarithmic_and_says_so(ax3d):
    drawn = draw(plane(lambda a, b: 1e-3 + a**2 + b**2), ax3d, view="3d")
    assert ax3d.get_zlabel() == "loss (log scale)"
    assert heights(drawn.artists["here"]) == pytest.approx(-3.0)
    names = ticks(ax3d)
    assert len(names) >= 3
    for name, z in names.items():
        assert float(name) == pytest.approx(10**z)


def test_the_floor_lies_below_and_has_the_levels_of_the_contours(ax3d):
    result = plane()
    drawn = draw(result, ax3d, view="3d", levels=8)
    assert ax3d.get_zlim()[0] < result.loss.min()
    np.testing.assert_array_equal(
        drawn.artists["floor"].levels, draw(result, levels=8).artists["bands"].levels
    )


def test_paths_lie_on_the_surface(ax3d):
    f = lambda a, b: 1 + 2 * a + b  # noqa: E731  (bilinear: met exactly between the cells)
    way = [[1.0, 1.0], [-1.0, 0.5], [0.3, -0.2]]
    drawn = draw(plane(f), ax3d, view="3d", path={"Adam": way})
    a, b, z = drawn.artists["paths"][0].get_data_3d()
    np.testing.assert_allclose(z, f(np.asarray(a), np.asarray(b)))
    assert {(1.0, 1.0), (0.3, -0.2)} <= set(zip(np.round(a, 9), np.round(b, 9), strict=True))
    assert "Adam" in [text.get_text() for text in drawn.artists["legend"].get_texts()]


def test_a_path_outside_or_over_a_hole_has_no_height(ax3d):
    hole = plane(lambda a, b: np.where(a > 1, np.nan, a + b))
    z = heights(draw(hole, ax3d, view="3d", path=[[-1.0, 0.0], [5.0, 0.0]]).artists["paths"][0])
    assert np.isfinite(z[0])
    assert np.isnan(z[-1])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_cells_that_are_not_finite_are_left_out_and_counted(ax3d, bad):
    drawn = draw(plane(lambda a, b: np.where(a + b > 2, bad, a - b)), ax3d, view="3d")
    assert "left out: loss not finite (10 cells)" in [
        t.get_text() for t in drawn.artists["legend"].get_texts()
    ]
    assert np.isfinite(np.asarray(drawn.artists["surface"].get_array())).all()
    assert len(drawn.artists["surface"].get_array()) < 64


def test_star_and_marks_stand_at_their_losses(ax3d):
    result = replace(between(), kind="given")
    drawn = draw(result, ax3d, view="3d")
    assert drawn.artists["here"].get_data_3d()[2] == pytest.approx(result.loss[result.a == 0, result.b == 0])
    a, b, z = (float(x[0]) for x in drawn.artists["marks"][0].get_data_3d())
    assert (a, b, z) == (1.0, 0.0, 0.25)
    assert "other point\nloss 0.25" in [text.get_text().strip() for text in ax3d.texts]


def test_the_model_beside_a_hole_keeps_its_star(ax3d):
    beside = plane(lambda a, b: np.where(a > 0, np.nan, 1 + a + b))
    assert heights(draw(beside, ax3d, view="3d").artists["here"]) == pytest.approx(1.0)


def test_nothing_finite_is_said(ax3d):
    drawn = draw(plane(lambda a, b: a * np.nan), ax3d, view="3d")
    assert "no finite loss" in drawn.artists["empty"].get_text()


@pytest.mark.parametrize(
    ("f", "corner"), [(lambda a, b: a + b, -135.0), (lambda a, b: -a - b, 45.0), (lambda a, b: b - a, -45.0)]
)
def test_the_lowest_quarter_lies_in_front(ax3d, f, corner):
    draw(plane(f), ax3d, view="3d")
    assert ax3d.azim == corner - ASIDE


def test_a_view_that_was_turned_stays(ax3d):
    draw(plane(), ax3d, view="3d")
    ax3d.view_init(20, 100)
    ax3d.clear()
    draw(plane(), ax3d, view="3d")
    assert (ax3d.elev, ax3d.azim) == (20, 100)
    assert ax3d.figure.axes == [ax3d]


def test_new_axes_have_three_dimensions_and_are_readable():
    drawn = plane().plot(view="3d")
    assert drawn.ax.name == "3d"
    drawn.figure.canvas.draw()
    texts = [t for t in drawn.figure.findobj(plt.Text) if t.get_text().strip() and t.get_visible()]
    assert min(t.get_fontsize() for t in texts) >= 12
    assert plane().to_png(view="3d").startswith(b"\x89PNG")


def test_flat_axes_and_other_views_are_refused(ax):
    with pytest.raises(InputError, match="flat axes"):
        draw(plane(), ax, view="3d")
    with pytest.raises(InputError, match="view='side'"):
        draw(plane(), view="side")


def test_pieces_of_a_single_point():
    assert in_pieces(np.array([[1.0, 2.0]])).tolist() == [[1.0, 2.0]] * 401
