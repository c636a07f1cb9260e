"""The panel of losses without a browser."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.experiments.label_losses import label_losses
from diagkit.widgets import LabelLossPanel, canvas
from diagkit.widgets.label_losses import HEAD_STARTS, RATES, STUCK


def small(n=40):
    X = torch.randn(n, 2, generator=torch.Generator().manual_seed(0))
    return X, (X[:, 0] > 0).long()


def make():
    return nn.Linear(2, 2)


@pytest.fixture
def panel():
    return LabelLossPanel(make, small(), steps=20)


def test_the_result_is_that_of_the_direct_call(panel):
    direct = label_losses(make, small(), panel.settings.task(), seeds=[0])
    for name, rows in direct.accuracy.items():
        assert np.array_equal(panel.result.accuracy[name], rows)
    assert panel.result.complete


def test_the_first_stage_trains_nothing(panel):
    first = next(panel.results(panel.settings))
    assert first.accuracy == {}
    panel.draw(first, panel.settings)
    assert "Gradient norm at the start" in panel.words(first, panel.settings)
    assert panel.reached(first, panel.settings) is None


def test_a_control_computes_anew(panel):
    before = panel.result
    said = panel.numbers.value
    panel.controls["optimizer"].value = "Adam"
    assert panel.result is not before
    assert panel.numbers.value != said
    assert panel.canvas.figure.axes[0].get_title().startswith("Adam")


def test_a_click_chooses_the_head_start(panel):
    panel.result  # noqa: B018
    gradients = panel.canvas.figure.axes[2]
    panel.canvas.click(gradients, 14.3, 1.0)
    assert panel.settings.head_start == 15.0
    panel.result  # noqa: B018
    panel.canvas.click(panel.canvas.figure.axes[0], 5.0, 0.5)  # the accuracies take none
    assert panel.settings.head_start == 15.0


@pytest.mark.parametrize(
    ("b", "optimizer", "rate"),
    list(itertools.product((HEAD_STARTS[0], HEAD_STARTS[-1]), ("SGD", "Adam"), (RATES[0], RATES[-1]))),
)
def test_every_control_at_its_end(b, optimizer, rate):
    panel = LabelLossPanel(steps=25)
    panel.change(head_start=b, optimizer=optimizer, rate=rate, seed=2**31 - 1)
    assert panel.result.complete
    assert "nan" not in panel.numbers.value
    panel.canvas.figure.canvas.draw()
    assert panel.screen.errors.value == ""


def test_the_target_can_be_reached():
    panel = LabelLossPanel()
    assert panel.reached(panel.result, panel.settings) is False
    panel.change(rate=3.0)
    assert panel.reached(panel.result, panel.settings) is False  # a larger step does not help
    panel.change(optimizer="Adam", rate=0.03)
    assert panel.reached(panel.result, panel.settings) is True
    panel.change(head_start=0.0)
    assert panel.reached(panel.result, panel.settings) is False
    assert panel.result.final(STUCK)[0] > 0.9


def test_divergence_is_said():
    panel = LabelLossPanel(make, small(), rate=3.0, steps=100)
    panel.result  # noqa: B018
    assert "diverged" in panel.numbers.value
    assert "diverged" in panel.canvas.figure.axes[0].get_legend().get_texts()[2].get_text()


def test_without_ipympl_it_is_a_picture(monkeypatch):
    monkeypatch.setattr(canvas, "why_static", lambda: canvas.STATIC)
    panel = LabelLossPanel(make, small(), steps=5)
    panel.result  # noqa: B018
    assert "base64" in panel.canvas._picture.value


@pytest.mark.parametrize("bad", [{"make_model": make}, {"optimizer": "Magic"}, {"rate": -1.0}, {"steps": 0}])
def test_bad_arguments_are_named(bad):
    with pytest.raises(dk.InputError, match="allowed"):
        LabelLossPanel(**bad)
