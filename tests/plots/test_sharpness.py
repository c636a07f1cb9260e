import numpy as np
import pytest

from diagkit.measure import Measured
from diagkit.plots import draw, style
from plots.plot_cases import highest_loss, invariance, sharp


def test_the_parts_of_a_rise_add_up_to_all_of_it(ax):
    bars = draw(sharp(), ax).artists["parts"]
    widths = [bar.get_width() for bar in bars["keskar"]]
    np.testing.assert_allclose(widths, [25.0, 90.0, -15.0])
    assert bars["keskar"][2].get_x() == 0.0, "a negative part stands left of zero"
    assert [bar.get_width() for bar in bars["trace"]] == [100.0]


def test_lower_bounds_say_so(ax):
    drawn = draw(sharp(), ax)
    texts = [text.get_text() for text in drawn.artists["values"]]
    assert texts == ["4 ± 0.01", "20 ± 2", "at least 2 %", "at least 0.01", "at least 0.2", "100 ± 20"]
    assert all(drawn.artists["errors"][name].get_marker() == ">" for name in ("keskar", "sam", "adaptive"))
    assert any("lower bound" in text.get_text() for text in drawn.artists["legend"].get_texts())


def test_errors_are_two_standard_errors(ax):
    (lines,) = draw(sharp(), ax).artists["errors"]["trace"][2]
    np.testing.assert_allclose(lines.get_segments()[0][:, 0], [90.0, 110.0])


def test_a_slope_is_called_one(ax):
    steep = highest_loss(2.0, 1.9, 0.2)
    draw(sharp(keskar=steep, sam=steep, adaptive=steep), ax)
    assert "mostly gradient" in ax.get_title()
    ax.set_title("")
    draw(sharp(), ax)
    assert "gradient" not in ax.get_title()


@pytest.mark.parametrize(
    "changes",
    [
        {"keskar": highest_loss(0.0, 0.0, 0.0), "sam": highest_loss(float("inf"), 0.0, 0.0)},
        {"lambda_max": Measured(-1.0, 0.1, "interval", 3), "trace": Measured(0.0, float("inf"), "sem", 1)},
        {"complete": False, "subspace": 100},
    ],
)
def test_odd_numbers_are_drawn(ax, changes):
    drawn = draw(sharp(**changes), ax)
    drawn.figure.canvas.draw()
    assert ("partial" in ax.get_title()) == ("complete" in changes)


def test_verdicts_by_colour_marker_and_word(ax):
    drawn = draw(invariance(), ax)
    points = drawn.artists["points"]
    assert [points[name][0].get_xdata()[0] for name in ("lambda_max", "sam")] == [64.0, 100.0]
    assert points["lambda_max"][0].get_color() == style.VERMILLION
    assert points["adaptive"][0].get_color() == style.BLUE
    assert len({points[name][0].get_marker() for name in ("lambda_max", "keskar", "adaptive")}) == 3
    words = [text.get_text() for text in drawn.artists["words"]]
    assert words[0] == "does not: × 64"
    assert words[2] == "undecided: × 1.2"
    assert words[4] == "survives"
    assert "alpha = 10" in ax.get_title()


def test_what_has_no_place_on_a_log_axis_keeps_its_word(ax):
    drawn = draw(invariance((np.nan, -2.0, 1.2, 3.0, 1.0, 1.0), ratio_errors=np.full(6, np.inf)), ax)
    drawn.figure.canvas.draw()
    assert set(drawn.artists["points"]) == {"keskar", "sam", "adaptive", "relative_flatness"}
    assert len(drawn.artists["words"]) == 6
