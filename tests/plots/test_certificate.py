import numpy as np
import pytest

from diagkit.plots import draw
from plots.plot_cases import certificate, over_data, symmetry


def test_both_curves_and_the_claim_are_what_was_measured(ax):
    drawn = draw(certificate(), ax)
    np.testing.assert_array_equal(drawn.artists["lowest"].get_ydata(), [1.0, 0.1, 0.05])
    np.testing.assert_array_equal(drawn.artists["bound"].get_ydata(), [-900.0, -2.0, -0.3])
    assert set(drawn.artists["claim"].get_ydata()) == {-0.5}
    low, high = ax.get_ylim()
    assert low < -900
    assert high > 1


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        ("none-below", "No curvature below −0.5 (99 %)"),
        ("negative-curvature", "Proven: curvature −0.7 < −0.5"),
        ("undecided", "Undecided: is there curvature below −0.5?"),
    ],
)
def test_the_title_is_the_answer(ax, verdict, words):
    draw(certificate(verdict, value=-0.7), ax)
    assert ax.get_title() == words


@pytest.mark.parametrize(
    "result",
    [
        certificate(lowest=(1.0,), bounds=(-3.0,)),
        certificate(lowest=(0.0, 0.0), bounds=(0.0, 0.0)),
        certificate("negative-curvature", (1.0, -0.7), (-0.6, -np.inf)),
        certificate(eps=1e-9),
    ],
)
def test_edges_of_what_can_be_drawn(ax, result):
    drawn = draw(result, ax)
    assert np.isfinite(ax.get_ylim()).all()
    assert np.isfinite(drawn.artists["bound"].get_ydata()).all()


def test_asymmetry_beside_what_rounding_explains(ax):
    wrong = draw(symmetry(1e-3), ax).artists["asymmetry"]
    assert wrong.get_xdata().tolist() == [1e-3]
    assert "Not symmetric" in ax.get_title()


@pytest.mark.parametrize("result", [symmetry(0.0), symmetry(0.0, 0.0, 0.0)])
def test_exact_symmetry_has_a_place_on_a_log_axis(ax, result):
    drawn = draw(result, ax)
    assert drawn.artists["asymmetry"].get_xdata()[0] > 0
    assert "differ by below" in drawn.artists["text"].get_text()


def test_interval_over_data(ax):
    drawn = draw(over_data(), ax)
    (segments,) = drawn.artists["interval"][2]
    np.testing.assert_allclose(segments.get_segments()[0][:, 0], [3.0, 5.5])
    assert sum(bar.get_height() for bar in drawn.artists["resampled"]) == 500
    assert any("3 to 5.5" in text.get_text() for text in drawn.artists["legend"].get_texts())
