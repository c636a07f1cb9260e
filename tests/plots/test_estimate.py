import numpy as np

from diagkit.plots import draw
from plots.plot_cases import estimate


def test_samples_mean_and_band(ax):
    drawn = draw(estimate(), ax)
    assert drawn.artists["samples"].get_ydata().tolist() == [1.0, 2.0, 3.0, 6.0]
    assert list(drawn.artists["value"].get_ydata()) == [3.0, 3.0]
    box = drawn.artists["band"].get_extents().transformed(ax.transData.inverted())
    np.testing.assert_allclose([box.y0, box.y1], [2.0, 4.0])
    assert ax.get_title() == "Trace of the Hessian: 3 ± 0.5"


def test_an_exact_value_has_no_band(ax):
    drawn = draw(estimate(exact=True), ax)
    assert "band" not in drawn.artists
    assert "samples" not in drawn.artists
    assert "±" not in ax.get_title()


def test_what_is_wrong_is_told(ax):
    drawn = draw(estimate((2.0,), sem=np.inf, complete=False, converged=False), ax)
    assert "band" not in drawn.artists
    assert "(partial, tolerance not reached)" in ax.get_title()
