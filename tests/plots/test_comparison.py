import numpy as np
import pytest

from diagkit.experiments import SuccessRate, judge, paired_difference
from diagkit.plots import draw
from plots.plot_cases import paired, rates


def reach(artist):
    """Centre, low and high of a horizontal interval."""
    line, _, (lines,) = artist.lines
    return line.get_xdata()[0], *lines.get_segments()[0][:, 0]


def test_differences_mean_and_interval(ax):
    result = paired()
    drawn = draw(result, ax)
    np.testing.assert_allclose(drawn.artists["differences"].get_xdata(), result.differences)
    np.testing.assert_allclose(reach(drawn.artists["mean"]), (result.value, *result.interval))
    assert "0 below 0, 8 above 0; sign test p = 0.0078" in drawn.artists["signs"].get_text()
    assert ax.get_title().startswith("Difference of 8 pairs: 0.5 [")
    assert ax.get_xlabel() == "second less first (nat)"


def test_pairs_without_a_number(ax):
    drawn = draw(paired_difference([0.0, 0.0], [np.nan, 1.0]), ax)
    assert "mean" not in drawn.artists
    assert "(1 without a number)" in ax.get_title()


def test_rates_with_wilsons_limits(ax):
    drawn = draw(rates(), ax)
    np.testing.assert_allclose(reach(drawn.artists["first"]), (0.1, *SuccessRate(2, 20).limits()))
    np.testing.assert_allclose(reach(drawn.artists["second"]), (0.75, *SuccessRate(15, 20).limits()))
    assert ax.get_xlim()[0] <= 0 <= 1 <= ax.get_xlim()[1]


@pytest.mark.parametrize("expects", ["increase", "decrease", "no difference"])
@pytest.mark.parametrize("smallest", [0.0, 0.2])
def test_verdict(ax, expects, smallest):
    if expects == "no difference" and not smallest:
        smallest = 2.0
    verdict = judge("a claim", paired(), expects=expects, smallest=smallest)
    drawn = draw(verdict, ax)
    assert drawn.artists["verdict"].get_text() == verdict.verdict.upper()
    np.testing.assert_allclose(reach(drawn.artists["effect"]), (verdict.value, *verdict.interval))
    assert ("smallest" in drawn.artists) == bool(smallest)
    low, high = ax.get_xlim()
    assert low == -high
    assert high > max(*np.abs(verdict.interval), smallest)
    assert (ax.get_title(), ax.get_xlabel()) == ("a claim", "effect, n = 8 (nat)")
