import numpy as np
import pytest

from diagkit.errors import InputError
from diagkit.plots import draw
from plots.batch_size_cases import batch_size_study, critical


@pytest.mark.parametrize(("over", "last"), [("steps", 100.0), ("epochs", 100 * 200 / 1437), ("seconds", 0.1)])
def test_curves_over_steps_epochs_and_seconds(over, last, ax):
    study = batch_size_study()
    drawn = draw(study, ax, over=over)
    epochs = drawn.artists["means"][1]
    assert [line.get_label() for line in drawn.artists["means"]] == [
        "B = 20",
        "B = 200, same epochs",
        "B = 200, same steps",
    ]
    assert epochs.get_xdata()[-1] == pytest.approx(last)
    here = study.curves[(study.curves["arm"] == "same epochs") & (study.curves["batch_size"] == 200)]
    means = here[here["step"] > 0].groupby("step")["train_loss"].mean()
    np.testing.assert_allclose(epochs.get_ydata(), means)
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert over in ax.get_xlabel()
    assert drawn.artists["target"].get_ydata()[0] == 0.4


def test_an_accuracy_has_no_log_scale(ax):
    draw(batch_size_study(), ax, metric="test_accuracy")
    assert ax.get_yscale() == "linear"


@pytest.mark.parametrize("options", [{"over": "hours"}, {"metric": "speed"}, {"batch_size": 7}])
def test_what_was_not_compared_is_refused(options, ax):
    with pytest.raises(InputError, match=next(iter(options))):
        draw(batch_size_study(), ax, **options)


def test_effects_with_their_intervals(ax):
    effects = batch_size_study().effects()
    drawn = draw(effects, ax)
    line, _, (bars,) = drawn.artists["effects"][0].lines
    at_end = [i for i, at in enumerate(effects.at) if at == "end"]
    np.testing.assert_allclose(line.get_xdata(), effects.values[at_end])
    ends = np.array([segment[:, 0] for segment in bars.get_segments()])
    np.testing.assert_allclose(ends, effects.intervals[at_end])
    assert effects.values[0] == pytest.approx(2.2, rel=0.05)
    assert [t.get_text() for t in ax.get_yticklabels()] == ["same steps", "same epochs"]
    accuracy = batch_size_study().effects("test_accuracy")
    assert accuracy.unit == "percentage points"
    assert accuracy.values[0] == pytest.approx(-5.0, abs=0.1)
    assert accuracy.margin == pytest.approx(1.0)
    assert accuracy.to_frame()["arm"].tolist() == ["same epochs", "same epochs", "same steps", "same steps"]
    with pytest.raises(InputError, match="measure='speed'"):
        batch_size_study().effects("speed")


def test_verdicts_in_words(ax):
    drawn = draw(batch_size_study().table(), ax)
    words = [cell.get_text().replace("\n", " ") for cell in drawn.artists["cells"]]
    assert words[:5] == ["yes × 9", "yes × 2.2", "yes −5.0 points", "yes", "no"]
    assert [word.split()[0] for word in words[5:]] == ["no"] * 5
    colors = [face.get_facecolor() for face in drawn.artists["faces"]]
    assert colors[0] == colors[3] != colors[4]


def test_critical_batch_size_between_its_limits(ax):
    found = critical()
    drawn = draw(found, ax)
    x, y = drawn.artists["fit"].get_data()
    np.testing.assert_allclose(y, found.fit.steps(x))
    assert drawn.artists["critical"].get_xdata()[0] == found.value == pytest.approx(50, rel=0.1)
    np.testing.assert_allclose(drawn.artists["noise"].get_xdata(), [20.0, 300.0])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["8", "32", "128", "512"]


def test_a_curve_without_a_bend_names_no_size(ax):
    drawn = draw(critical(s_min=0.0), ax)
    assert "not resolved" in ax.get_title()
    assert "critical" not in drawn.artists
