import numpy as np
import pytest
from matplotlib.colors import same_color

from diagkit.plots import draw, style
from plots.plot_cases import density


def colors(drawn):
    return [drawn.artists[side].get_color() for side in ("negative", "positive")]


def test_the_curve_is_the_density_and_its_sides_meet_at_zero(ax):
    result = density()
    drawn = draw(result, ax)
    for side, sign in (("negative", -1), ("positive", 1)):
        x, y = drawn.artists[side].get_data()
        assert (sign * x >= 0).all()
        assert 0.0 in x
        high = y > ax.get_ylim()[0]
        np.testing.assert_allclose(y[high], np.interp(x, result.grid, result.density)[high])
    assert ax.get_yscale() == "log"
    assert {"band negative", "band positive"} <= set(drawn.artists)


def test_negative_and_positive_differ_in_place_words_and_colour(ax):
    drawn = draw(density(), ax)
    assert colors(drawn) == [style.VERMILLION, style.BLUE]
    assert drawn.artists["nodes negative"].get_xdata().tolist() == [-0.5]
    assert drawn.artists["nodes positive"].get_xdata().tolist() == [3.0]
    assert "−0.5" in drawn.artists["downhill"].get_text()
    assert "3" in drawn.artists["uphill"].get_text()


def test_a_blur_below_zero_is_not_called_negative(ax):
    drawn = draw(density(nodes=(-1e-9, 0.1, 3.0), sigma=0.1), ax)
    assert colors(drawn)[0] == style.GREY
    assert "nothing found" in drawn.artists["downhill"].get_text()
    assert not drawn.artists["nodes negative"].get_xdata().size


def test_a_small_negative_side_is_not_lost_beside_a_large_positive_one(ax):
    drawn = draw(density(nodes=(-0.01, 0.0, 100.0), sigma=0.5), ax)
    assert ax.get_xscale() == "symlog"
    assert "log scale" in ax.get_xlabel()
    assert same_color(drawn.artists["negative"].get_color(), style.VERMILLION)


def test_the_height_of_one_eigenvalue(ax):
    drawn = draw(density(sigma=0.1), ax)
    (height, _) = drawn.artists["one"].get_ydata()
    assert height == pytest.approx(1 / (100 * 0.1 * np.sqrt(2 * np.pi)))
    assert ax.get_ylim()[0] < height < ax.get_ylim()[1]


def test_one_probe_has_no_band_and_an_exact_density_none_either(ax):
    draw(density(sem=np.full(401, np.inf), complete=False), ax)
    assert "partial" in ax.get_title()
    drawn = draw(density(exact=True, sem=np.zeros(401)), ax)
    assert "band positive" not in drawn.artists


@pytest.mark.parametrize("nodes", [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (-3.0, -2.0, -1.0), (-1e-6, 0.0, 1e6)])
def test_odd_spectra(ax, nodes):
    draw(density(nodes=nodes, sigma=max(1e-3, 1e-2 * np.ptp(nodes))), ax)
    left, right = ax.get_xlim()
    assert left < 0 < right
