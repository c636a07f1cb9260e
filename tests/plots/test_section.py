"""The numbers in the picture of a cut."""

import numpy as np

from diagkit.measure.surface.reading import Reading, Section
from diagkit.plots.section import draw_section

S = np.linspace(-1, 1, 5)
CUTS = {"training": Section(S, S**2 + 1, (1.0, 0.0)), "validation": Section(S, S**2 + 2, (1.0, 0.0))}


def test_curves_ring_and_target_are_where_they_belong(ax):
    drawn = draw_section(CUTS, ax, reading=Reading(0.5, 0.0, 1.25, 1.2, 1.0, 0.1), target=0.5)
    for name, cut in CUTS.items():
        assert drawn.artists[name].get_ydata().tolist() == cut.loss.tolist()
    assert drawn.artists["read"].get_xydata().tolist() == [[0.5, 1.25]]
    assert drawn.artists["here"].get_xydata().tolist() == [[0.0, 1.0]]
    assert drawn.artists["target"].get_ydata()[0] == 0.5
    assert "target 0.5" in [text.get_text() for text in drawn.artists["legend"].get_texts()]
    assert ax.get_title() == "Cut along a"
    assert len({line.get_linestyle() for line in ax.get_lines()[:2]}) == 2, "colour is not the only cue"


def test_what_is_not_finite_is_left_out(ax):
    cuts = {"training": Section(S, np.array([np.inf, 1e-3, 1.0, np.nan, 1e3]), (0.6, 0.8))}
    drawn = draw_section(cuts, ax, reading=Reading(0.6, 0.8, np.inf, np.nan, np.nan, np.nan))
    assert "read" not in drawn.artists
    assert "here" not in drawn.artists
    assert ax.get_yscale() == "log"
    assert "log scale" in ax.get_ylabel()
    assert ax.get_title() == "Cut through ★ and ○"
    ax.figure.canvas.draw()


def test_no_number_at_all_is_survived(ax):
    draw_section({"training": Section(S, np.full(5, np.nan), (1.0, 0.0))}, ax, target=1.0)
    ax.figure.canvas.draw()
