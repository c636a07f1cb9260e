"""The numbers and words of the picture; not its pixels."""

import matplotlib as mpl
import numpy as np
import pytest
import torch
from torch import nn

from diagkit.training import History, Recorder, train

mpl.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")
from diagkit.plots.history import draw_history, draw_training_run  # noqa: E402


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def test_noise_thin_and_trend_thick(ax):
    noise = np.random.default_rng(0).standard_normal(400)
    history = History.from_dict({"loss": 2 + 0.1 * noise, "val_step": [100, 399], "val_loss": [2.1, 2.0]})
    drawn = draw_history(history, ax)
    assert drawn["loss"].get_linewidth() < drawn["trend"].get_linewidth()
    np.testing.assert_array_equal(drawn["loss"].get_ydata(), history.loss)
    assert drawn["trend"].get_ydata().std() < 0.05
    np.testing.assert_array_equal(drawn["validation"].get_xdata(), [100, 399])
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_yscale()) == ("step", "loss", "linear")
    words = [text.get_text() for text in drawn["legend"].get_texts()]
    assert words == ["training, each step", "training, median of 25", "validation"]
    assert min(text.get_fontsize() for text in drawn["legend"].get_texts()) >= 11
    assert min(label.get_fontsize() for label in ax.get_xticklabels()) >= 11


def test_wide_range_is_logarithmic_and_said(ax):
    draw_history(History.from_dict({"loss": np.geomspace(10, 0.1, 50)}), ax)
    assert (ax.get_yscale(), ax.get_ylabel()) == ("log", "loss (log scale)")


def test_negative_losses_stay_linear_and_labels_are_kept(ax):
    ax.set(xlabel="update", ylabel="energy", title="mine")
    draw_history(History.from_dict({"loss": np.linspace(100, -1, 50)}), ax)
    assert (ax.get_yscale(), ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == (
        "linear",
        "update",
        "energy",
        "mine",
    )


def test_the_accident_is_marked(ax):
    drawn = draw_history(History.from_dict({"loss": [2.0, 1.0, float("nan"), float("nan")]}), ax)
    assert drawn["non_finite"].get_xdata()[0] == 2
    assert drawn["non_finite"].get_label() == "NaN or Inf at step 2"
    assert "in 2 steps, then NaN or Inf" in ax.get_title()


def test_nothing_to_draw(ax):
    model = nn.Linear(1, 1)
    drawn = draw_history(Recorder(model, torch.optim.SGD(model.parameters(), lr=0.1)).history, ax)
    assert list(drawn) == ["nothing"]


def test_the_best_point_of_a_run(ax):
    X = torch.linspace(-1, 1, 64)[:, None]
    run = train(nn.Linear(1, 1), nn.MSELoss(), (X, X), optimizer=torch.optim.SGD, epochs=3, val_data=(X, X))
    drawn = draw_training_run(run, ax)
    assert drawn["best"].get_ydata()[0] == run.best_loss
    assert drawn["best"].get_xdata()[0] == run.history.val_step[int(np.argmin(run.history.val_loss))]
