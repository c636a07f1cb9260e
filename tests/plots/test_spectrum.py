import numpy as np
import pytest

from diagkit.plots import draw
from diagkit.plots.spectrum import MEANING, SIGNS, signs
from plots.plot_cases import pairs, point


def test_signs_differ_in_more_than_colour(ax):
    colors, markers, words = zip(*SIGNS.values(), strict=True)
    assert len(set(colors)) == len(set(markers)) == len(set(words)) == 3
    drawn = draw(pairs([-1.0, 1e-9, 0.5]), ax)
    shapes = {drawn.artists[key][0].get_marker() for key in ("negative", "positive", "sign unknown")}
    assert len(shapes) == 3


def test_values_and_residuals_are_what_was_measured(ax):
    bars = draw(pairs([-1.0, -0.5], residual=0.25), ax).artists["negative"]
    np.testing.assert_array_equal(bars[0].get_xydata(), [[1, -1.0], [2, -0.5]])
    (segments,) = bars[2]
    np.testing.assert_allclose([s[:, 1] for s in segments.get_segments()], [[-1.25, -0.75], [-0.75, -0.25]])


def test_a_sign_is_claimed_beyond_its_error_only():
    assert signs(pairs([-0.1, 0.1], residual=0.2)).tolist() == [-1, 0]
    assert signs(pairs([0.1, -0.1], "largest", residual=0.2)).tolist() == [1, 0]
    assert signs(pairs([-1e-8, 1e-8], residual=0.0)).tolist() == [0, 0]


@pytest.mark.parametrize("value", [3.0, -3.0, 0.0])
def test_single_eigenvalue(ax, value):
    draw(pairs([value], "largest"), ax)
    assert ax.get_title() == "The largest curvature"


def test_what_did_not_converge_is_marked(ax):
    drawn = draw(pairs([-1.0, -0.5], converged=np.array([True, False])), ax)
    assert drawn.artists["not_converged"].get_xydata().tolist() == [[2, -0.5]]


@pytest.mark.parametrize("verdict", MEANING)
def test_the_verdict_is_the_title_and_the_gradient_is_told(ax, verdict):
    drawn = draw(point(verdict=verdict), ax)
    assert ax.get_title().splitlines() == [f"Verdict: {verdict}", MEANING[verdict]]
    assert "gradient norm 1e−09" in drawn.artists["facts"].get_text()


def test_zero_is_in_the_middle_and_both_ends_are_seen(ax):
    drawn = draw(point(-1.0, 2.0), ax)
    low, high = ax.get_xlim()
    assert low == -high
    assert high > 2.0
    assert drawn.artists["negative"].get_xdata().tolist() == [-1.0]
    assert drawn.artists["positive"].get_xdata().tolist() == [2.0]
    assert {"negative: downhill", "positive: uphill"} <= {text.get_text() for text in ax.texts}


def test_a_small_negative_end_is_not_lost_beside_a_large_one(ax):
    draw(point(-1e-3, 50.0), ax)
    assert ax.get_xscale() == "symlog"
    assert "log scale" in ax.get_xlabel()


@pytest.mark.parametrize("ends", [(0.0, 0.0), (0.0, 1.0), (1e-12, 1e-11), (-1e-3, 1e6)])
def test_degenerate_ends(ax, ends):
    draw(point(*ends, verdict="degenerate"), ax)


def test_the_bound_from_below_is_shown_for_a_minimum(ax):
    assert "none_below" in draw(point(0.1, 1.0, "minimum-within-tolerance"), ax).artists
