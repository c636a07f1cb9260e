import numpy as np
import pytest

from plots.study_cases import feature_scaling, noise_escape, normalization, stable_rate


def test_every_run_of_an_escape_is_a_mark_at_its_accuracy():
    drawn = noise_escape().plot()
    heights = drawn.artists["zero, with noise"].get_ydata()
    assert heights.tolist() == pytest.approx([0.95, 0.95, 0.85])
    texts = [t.get_text().split("\n")[0] for t in drawn.ax.texts]
    assert texts == ["0 of 3", "2 of 3", "3 of 3", "3 of 3"]
    assert drawn.artists["reached"].get_ydata()[0] == 0.9


def test_runs_that_diverged_are_crosses():
    drawn = noise_escape(noisy=0.0, seeds=range(2)).plot()
    assert drawn.artists["zero, with noise, diverged"].get_ydata().tolist() == [0.0, 0.0]
    assert [t.get_text() for t in drawn.artists["legend"].get_texts()].count("diverged") == 1
    assert not any("diverged" in name for name in noise_escape().plot().artists)


def test_scalings_that_did_not_arrive_are_at_the_edge():
    drawn = feature_scaling().plot()
    assert drawn.artists["fixed, none"].get_ydata() == [500]
    assert drawn.artists["fixed, none"].get_marker() == "^"
    line = drawn.artists["Adam, z-score"].lines[0]
    assert line.get_ydata()[0] == pytest.approx((100 * 110 * 120) ** (1 / 3))
    assert [t.get_text().split("\n")[1] for t in drawn.ax.get_xticklabels()] == ["κ 5·10⁴", "κ 2"]


def test_rates_beyond_the_picture_are_at_its_edge():
    drawn = stable_rate().plot()
    assert drawn.artists["stable"].get_xdata().tolist() == [0.1, 0.2]
    assert drawn.artists["unstable"].get_ydata().tolist() == [3.0]
    assert drawn.artists["beyond"].get_ydata().tolist() == [100.0]
    low, high = np.sort(drawn.artists["limit"].get_corners()[:, 0])[[0, -1]]
    assert (low, high) == (0.2, 0.4)


@pytest.mark.parametrize("ratios", [(0.5, 0.1), (3.0, np.inf), (0.0, 0.0, 2.0)])
def test_rates_of_one_kind(ratios):
    assert "limit" in stable_rate(ratios).plot().artists or len(ratios) == 2


@pytest.mark.parametrize(("factor", "expected"), [(0.5, "×0.5 ✓"), (2.0, "×2 ✗")])
def test_cells_hold_factor_and_verdict(factor, expected):
    drawn = normalization(factor).plot()
    assert drawn.artists["lambda_max_early, layer"].get_text() == expected
    assert drawn.artists["stable_rate, layer"].get_text() == "- ?"
