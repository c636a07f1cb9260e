import numpy as np

from diagkit.plots import draw, style
from plots.plot_cases import modules


def test_bars_are_the_shares_in_the_models_order(ax):
    drawn = draw(modules(), ax)
    assert [bar.get_width() for bar in drawn.artists["bars"]] == [0.7, 0.4, -0.1]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["layer0", "layer1", "layer2"]
    top, bottom = (drawn.artists["bars"][i].get_y() for i in (0, 2))
    assert top < bottom
    assert ax.get_ylim()[0] > ax.get_ylim()[1], "the first module stands on top"
    assert "%" in ax.xaxis.get_major_formatter()(0.5)


def test_errors_are_two_standard_errors(ax):
    bars = draw(modules(sem=0.05), ax).artists["errors"]
    (lines,) = bars[2]
    np.testing.assert_allclose(np.ptp(lines.get_segments()[0][:, 0]), 0.2)


def test_a_negative_share_has_another_colour(ax):
    drawn = draw(modules(), ax)
    faces = [bar.get_facecolor() for bar in drawn.artists["bars"]]
    assert faces[0] == faces[1] != faces[2]
    assert style.VERMILLION != style.BLUE


def test_traces_where_shares_are_unknown(ax):
    unknown = np.full(2, np.nan)
    traces = np.array([0.2, -0.2])
    drawn = draw(modules(unknown, traces=traces, trace=0.01, trace_sem=0.1), ax)
    assert [bar.get_width() for bar in drawn.artists["bars"]] == [0.2, -0.2]
    assert "no shares" in ax.get_title()
    assert "0.01 ± 0.1" in ax.get_title()


def test_curvatures_stand_beside_the_bars(ax):
    open_end = modules(converged=np.array([[True], [False], [True]]))
    texts = [text.get_text() for text in draw(open_end, ax).artists["curvatures"]]
    assert texts == ["3", "2 ± 0.01", "1"]
    ax.clear()
    unmeasured = modules(eigenvalues=np.array([[1.0], [2.0], [np.nan]]))
    assert draw(unmeasured, ax).artists["curvatures"][2].get_text() == "not measured"


def test_many_modules_with_long_names(ax):
    shares = np.linspace(0.01, 0.2, 40)
    names = [f"model.layers.{i}.self_attention.query_projection" for i in range(40)]
    drawn = draw(modules(shares, names=names), ax)
    assert len(drawn.artists["bars"]) == 14
    assert drawn.artists["bars"][0].get_width() == shares[26], "the largest are kept"
    assert "14 of 40 modules" in ax.get_title()
    assert max(len(text.get_text()) for text in ax.get_yticklabels()) <= 22


def test_out_of_time(ax):
    draw(modules(trace_sems=np.full(3, np.inf), share_sems=np.full(3, np.inf), complete=False), ax)
    assert "partial" in ax.get_title()
