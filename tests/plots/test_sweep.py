import numpy as np
import pytest

from diagkit.errors import InputError
from diagkit.experiments import student_interval, sweep
from diagkit.plots import draw
from plots.plot_cases import EVERY_KIND, seed_runs


def results(settings, metric, seeds=range(4), **options):
    return sweep(lambda seed, **row: {"loss": metric(seed=seed, **row)}, settings, seeds=seeds, **options)


def bars(artist):
    """x, y, low and high of a curve with error bars."""
    line, _, (lines,) = artist.lines
    ends = np.array([segment[:, 1] for segment in lines.get_segments()])
    return line.get_xdata(), line.get_ydata(), ends[:, 0], ends[:, 1]


def test_means_intervals_and_seeds(ax):
    result = results({"batch_size": [2, 20, 200]}, lambda batch_size, seed: batch_size * (1 + seed**2))
    drawn = draw(result, ax)
    x, y, low, high = bars(drawn.artists["means"][0])
    assert list(x) == [2, 20, 200]
    np.testing.assert_allclose(y, np.array([2, 20, 200]) * 4.5)
    np.testing.assert_allclose([low[0], high[0]], student_interval([2.0, 4.0, 10.0, 20.0]))
    assert len(drawn.artists["seeds"]) == 4
    assert list(drawn.artists["seeds"][1].get_ydata()) == [4, 40, 400]
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert [t.get_text() for t in ax.get_xticklabels()] == ["2", "20", "200"]
    assert ax.get_title() == "loss by batch size"


def test_other_settings_are_curves_of_their_own(ax):
    result = results({"arm": ["b", "a"], "lr": [0.1, 0.2]}, lambda arm, lr, seed: lr + seed + (arm == "a"))
    drawn = draw(result, ax)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["b", "a"]
    names = [t.get_text() for t in drawn.artists["legend"].get_texts()]
    assert names == ["lr = 0.1", "lr = 0.2", "one seed", "mean, 95 % interval"]
    (_, low, *_), (_, high, *_) = (bars(artist) for artist in drawn.artists["means"])
    np.testing.assert_allclose(low, [1.6, 2.6])
    np.testing.assert_allclose(high, [1.7, 2.7])


def test_numbers_stand_at_their_distances(ax):
    draw(results({"lr": [0.3, 0.1, 0.2]}, lambda lr, seed: lr), ax)
    np.testing.assert_allclose(ax.get_xticks(), [0, 1, 2])
    assert [t.get_text() for t in ax.get_xticklabels()] == ["0.1", "0.2", "0.3"]


def test_units_metric_and_axis_can_be_chosen(ax):
    def run(lr, arm, seed):
        return {"loss": lr, "time": 2 * lr, "ended_by": "epochs"}

    result = sweep(run, {"lr": [0.1], "arm": ["a", "b"]}, seeds=[0], units={"time": "s"})
    drawn = draw(result, ax, metric="time")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("arm", "time (s)")  # lr is not varied
    assert list(bars(drawn.artists["means"][0])[1]) == [0.2, 0.2]
    for options, text in (({"metric": "ended_by"}, "allowed: loss, time"), ({"x": "b"}, "allowed: lr, arm")):
        with pytest.raises(InputError, match=text):
            draw(result, ax, **options)


def test_what_is_missing_is_told(ax):
    def metric(lr, seed):
        if seed == 0:
            raise ValueError
        return float("inf") if seed == 1 and lr == 1 else lr

    drawn = draw(results({"lr": [1, 2]}, metric), ax)
    assert ax.get_title().endswith("(2 failed, 1 not finite)")
    assert list(bars(drawn.artists["means"][0])[1]) == [1, 2]


def test_nothing_but_lost_runs():
    drawn = draw(results({"lr": [1, 2]}, lambda lr, seed: float("nan")))
    assert "no run ended" in drawn.ax.texts[0].get_text()


def test_seeds_and_their_median(ax):
    drawn = draw(seed_runs(), ax)
    assert [list(line.get_ydata()) for line in drawn.artists["seeds"][:2]] == [
        [2.0, 1.0, 0.5],
        [2.2, 1.4, 0.7],
    ]
    np.testing.assert_allclose(drawn.artists["median"].get_ydata(), [2.2, 1.2, 0.6])
    assert ax.get_title() == "Loss of 3 seeds, 1 diverged"


def test_there_is_a_case_of_each():
    assert {"sweep", "paired difference", "rate difference", "verdict", "seed runs"} <= set(EVERY_KIND)
