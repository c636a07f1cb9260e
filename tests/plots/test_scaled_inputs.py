"""Pictures of one table under one scaling: the numbers drawn."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from diagkit.plots import draw, draw_columns, draw_pair_valley
from plots.study_cases import scaled_inputs


@pytest.fixture
def ax():
    figure, made = plt.subplots()
    yield made
    plt.close(figure)


def test_the_curves_and_where_they_end(ax):
    drawn = draw(scaled_inputs(), ax)
    assert drawn.artists["z-score"].get_ydata().tolist() == [1.0, 0.3, 0.1]
    assert drawn.artists["z-score"].get_label() == "“z-score”: 2 steps"
    assert drawn.artists["none"].get_label() == "raw: 10 steps"
    assert drawn.artists["target"].get_ydata() == [0.1, 0.1]
    assert ax.get_title() == "η = 0.1"


def test_what_is_not_reached_and_what_diverges(ax):
    losses = {"none": np.array([1.0, 50.0, np.inf]), "z-score": np.array([1.0, 0.5, 0.4])}
    drawn = draw(scaled_inputs(runs=losses), ax)
    assert drawn.artists["none"].get_label() == "raw: diverges"
    assert drawn.artists["none"].get_ydata().tolist() == [1.0]
    assert "none out" in drawn.artists
    assert drawn.artists["z-score"].get_label() == "“z-score”: not reached"


@pytest.mark.parametrize(("side", "spread", "name"), [("before", 20.0, "raw"), ("after", 2.0, "“z-score”")])
def test_the_columns(ax, side, spread, name):
    drawn = draw_columns(scaled_inputs(), ax, side=side)
    second = drawn.artists["range"].get_segments()[1]
    assert second[1, 0] - second[0, 0] == pytest.approx(spread)
    assert ax.get_title().startswith(name)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["metres", "milligra…"]


@pytest.mark.parametrize(("side", "condition"), [("before", "100"), ("after", "1")])
def test_the_valley(ax, side, condition):
    drawn = draw_pair_valley(scaled_inputs(), ax, side=side)
    assert ax.get_title() == f"two weights: κ = {condition}"
    assert drawn.artists["path"].get_xydata()[0].tolist() == [1.0, 1.0]
    assert ax.get_xlabel() == "error of w(milligra…)"
