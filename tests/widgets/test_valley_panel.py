"""The valley panel without a browser: settings in, path out, clicks as events, and every extreme."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.clinic import VALLEYS, valley, valley_through
from diagkit.training import descent_stages
from diagkit.widgets import Canvas, ValleyPanel, ValleySettings, canvas, controls
from diagkit.widgets.valley import OPTIMIZERS, RATES
from panel_scenes import WAIT

QUICK = {"steps": 10}


@pytest.fixture
def coarse(monkeypatch):
    """A surface of a few cells: the path is what is tested."""
    monkeypatch.setattr("diagkit.widgets.valley.RESOLUTION", 5)


def test_the_settings_come_from_the_arguments():
    panel = ValleyPanel(valley="banana", optimizer="Adam", rate=0.1, start=(0.5, 0.25), steps=20)
    assert panel.settings == ValleySettings("banana", "Adam", 0.1, 0.5, 0.25, 20)
    assert {name: control.value for name, control in panel.controls.items()} == {
        "valley": "banana",
        "optimizer": "Adam",
        "rate": 0.1,
        "w1": 0.5,
        "w2": 0.25,
    }
    assert list(panel.valleys) == list(VALLEYS)


def test_the_result_equals_the_direct_call(coarse):
    panel = ValleyPanel(valley="banana", optimizer="momentum", rate=0.01)
    direct = dk.descent_path(
        valley("banana").objective(), lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9), steps=40
    )
    np.testing.assert_array_equal(panel.result.theta, direct.theta)
    np.testing.assert_array_equal(panel.result.ratios, direct.ratios)
    assert panel.result is panel.result
    assert panel.status.value == "done"


def test_the_first_picture_takes_few_passes():
    panel = ValleyPanel(valley="banana")
    obj = panel.objectives["banana"]
    first = next(panel.results(panel.settings))
    assert (first.steps, first.complete) == (10, False)
    assert obj.meter.num_evals <= 25 + 11 + 1  # a surface of 25, a path of 10 steps, the first look
    assert [path.steps for path in panel.results(panel.settings)] == [10, 40, 40]


def test_the_surface_is_made_once_per_valley(coarse):
    panel = ValleyPanel(**QUICK)
    panel.run()
    plane = panel._planes["quadratic"]
    assert plane.complete
    panel.change(rate=0.1)
    panel.run()
    assert panel._planes == {"quadratic": plane}


@pytest.mark.parametrize(("rate", "reached", "word"), [(0.02, False, "0.621"), (0.15, True, "below 0.001")])
def test_the_target(coarse, rate, reached, word):
    panel = ValleyPanel(rate=rate)
    panel.run()
    assert word in panel.numbers.value
    assert ("✓" in panel.target.value, "✗" in panel.target.value) == (reached, not reached)
    assert "below 0.001 within 40 steps" in panel.target.value
    assert panel.reached(panel.result, panel.settings) is reached


def test_a_control_replaces_the_settings_and_the_picture(coarse):
    panel = ValleyPanel(**QUICK)
    panel.run()
    before, words = panel.canvas.png(), panel.numbers.value
    panel.controls["rate"].value = 0.1
    assert panel.result.rate == 0.1
    assert panel.canvas.png() != before
    assert panel.numbers.value != words
    panel.controls["rate"].value = 0.02
    assert panel.numbers.value == words


def test_a_click_on_the_surface_is_the_start(coarse):
    panel = ValleyPanel(**QUICK)
    panel.run()
    panel.canvas.click(panel.canvas.figure.axes[0], 1.25, -0.5)
    assert (panel.settings.w1, panel.settings.w2) == (1.25, -0.5)
    assert (panel.controls["w1"].value, panel.controls["w2"].value) == (1.25, -0.5)
    assert panel.result.theta[0].tolist() == [1.25, -0.5]
    panel.canvas.click(panel.canvas.figure.axes[1], 3.0, 1.0)  # the loss curve is no place
    assert (panel.settings.w1, panel.settings.w2) == (1.25, -0.5)


def test_another_valley_begins_where_it_is_worth_beginning(coarse):
    panel = ValleyPanel(**QUICK)
    panel.controls["valley"].value = "banana"
    assert panel.settings == ValleySettings("banana", "SGD", 0.02, *valley("banana").start, 10)
    assert panel.controls["w2"].value == 2.5
    panel.result  # noqa: B018  (waits for the job)
    panel.change(valley="saddle", w1=1.0, w2=1.0)
    assert (panel.settings.w1, panel.settings.w2) == (1.0, 1.0)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", VALLEYS)
def test_every_control_dragged_to_its_ends(coarse, name, optimizer):
    panel = ValleyPanel([valley(name)], optimizer=optimizer)
    low, high = RATES[0], RATES[-1]
    for rate, w1, w2 in ((low, 0.0, 0.0), (high, -3.0, 3.0), (low, 1e6, -1e6), (high, 1e200, 1e200)):
        panel.change(rate=rate, w1=w1, w2=w2)
        path = panel.run()
        panel.canvas.figure.canvas.draw()
        assert "nan" not in panel.numbers.value
        if not math.isfinite(path.loss[-1]):
            assert "diverges" in panel.numbers.value
        assert panel.screen.errors.value == ""


def test_divergence_is_shown_as_such(coarse):
    panel = ValleyPanel(rate=0.3)
    path = panel.run()
    assert path.diverges
    assert "diverges" in panel.numbers.value
    assert "over the limit 2" in panel.numbers.value
    texts = [text.get_text() for ax in panel.canvas.figure.axes for text in ax.texts]
    assert {"diverges", "leaves the picture"} <= set(texts)


@pytest.mark.parametrize(
    "settings",
    [{"optimizer": "Lion"}, {"rate": 0.0}, {"rate": -1.0}, {"w1": math.inf}, {"w2": math.nan}, {"steps": 0}],
)
def test_settings_that_cannot_be_meant_are_refused(settings):
    with pytest.raises(dk.InputError, match="allowed"):
        ValleySettings("quadratic", **settings)


def test_bad_arguments_are_named():
    three = dk.clinic.Valley("x", "", nn.Linear(3, 1, bias=False), nn.MSELoss(), DATA, (0.0, 0.0, 0.0))
    for arguments in (
        {"valleys": []},
        {"valleys": [3]},
        {"valleys": three},
        {"valley": "canyon"},
        {"target": 0.0},
    ):
        with pytest.raises(dk.InputError, match="allowed"):
            ValleyPanel(**arguments)


DATA = torch.eye(3), torch.zeros(3, 1)


def test_a_model_of_ones_own_stays_as_it_is(coarse):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 1))
    before = [p.detach().clone() for p in net.parameters()]
    panel = ValleyPanel(valley_through(net, nn.MSELoss(), DATA), rate=0.1, **QUICK)
    assert "valley" not in panel.controls
    assert panel.run().loss[-1] < panel.result.loss[0]
    assert all(torch.equal(p, q) for p, q in zip(net.parameters(), before, strict=True))


def test_a_stop_keeps_what_was_found(coarse, monkeypatch):
    panel = ValleyPanel(steps=100)

    def stopping(*args, **options):
        for path in descent_stages(*args, **options):
            panel.stop()
            yield path

    monkeypatch.setattr("diagkit.widgets.valley.descent_stages", stopping)
    panel.start().wait(WAIT)
    assert panel.status.value == "partial: ended early"
    assert panel.result.steps == 10


def test_without_a_browser_figure_it_is_a_picture(coarse, monkeypatch):
    monkeypatch.setattr("diagkit.widgets.canvas.why_static", lambda: canvas.NO_IPYMPL)
    panel = ValleyPanel(**QUICK)
    assert isinstance(panel.canvas, Canvas)
    assert not panel.canvas.is_live
    panel.run()
    picture, said = panel.canvas.widget.children
    assert "data:image/png" in picture.value
    assert said.value == canvas.NO_IPYMPL
    controls.put(panel.controls["w1"], 1.0)
    assert panel.result.theta[0, 0] == 1.0
