"""The panel of normalization layers without a browser."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.experiments.normalization.short_run import NormalizationTask, normalization_run
from diagkit.widgets import NormalizationPanel, NormalizationSettings, canvas, normalization
from diagkit.widgets.normalization import DEPTHS, KINDS, RATES


def small(n=64):
    X = torch.randn(n, 4, generator=torch.Generator().manual_seed(0))
    return X, (X[:, 0] > 0).long()


def make():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


@pytest.fixture
def panel(monkeypatch):
    monkeypatch.setattr(normalization, "STEPS", 10)
    return NormalizationPanel(make, nn.CrossEntropyLoss(), small())


def test_the_settings_come_from_the_arguments():
    panel = NormalizationPanel(kind="layer", depth=5, rate=0.3, seed=2)
    assert panel.settings == NormalizationSettings("layer", 5, 0.3, 2)
    assert {name: control.value for name, control in panel.controls.items()} == {
        "kind": "layer", "depth": 5, "rate": 0.3, "seed": 2,
    }  # fmt: skip


def test_the_result_is_that_of_the_direct_call(panel):
    panel.change(kind="batch")
    direct = normalization_run(make, nn.CrossEntropyLoss(), small(), NormalizationTask("batch", steps=10))
    for kind, run in direct.runs.items():
        assert np.array_equal(panel.result.runs[kind].losses, run.losses)
        assert np.array_equal(panel.result.runs[kind].lambda_max, run.lambda_max)
    assert panel.status.value == "done"


def test_the_first_stage_trains_nothing():
    panel = NormalizationPanel(kind="batch", depth=3)
    first = next(panel.results(panel.settings))
    assert first.runs == {}
    panel.draw(first, panel.settings)
    assert "squared gradient" in panel.words(first, panel.settings)
    assert panel.reached(first, panel.settings) is None


def test_a_control_changes_picture_and_words(panel):
    panel.run()
    before, said = panel.canvas.png(), panel.numbers.value
    panel.controls["kind"].value = "layer"
    panel.result  # noqa: B018
    assert panel.numbers.value != said
    assert panel.canvas.png() != before
    panel.controls["kind"].value = "none"
    assert panel.numbers.value == said


def test_the_target():
    panel = NormalizationPanel()
    assert panel.reached(panel.result, panel.settings) is False
    panel.change(kind="batch")
    assert panel.reached(panel.result, panel.settings) is True
    panel.change(depth=5)
    assert panel.reached(panel.result, panel.settings) is False  # not deep enough


@pytest.mark.parametrize(
    ("kind", "depth", "rate"),
    list(itertools.product(KINDS, (DEPTHS[0], DEPTHS[-1]), (RATES[0], RATES[-1]))),
)
def test_every_control_at_its_end(monkeypatch, kind, depth, rate):
    monkeypatch.setattr(normalization, "STEPS", 3)
    panel = NormalizationPanel(kind=kind, depth=depth, rate=rate, seed=2**31 - 1)
    assert panel.result.complete
    assert "nan" not in panel.numbers.value
    panel.canvas.figure.canvas.draw()
    assert panel.screen.errors.value == ""


def test_divergence_is_said():
    X, y = small()
    panel = NormalizationPanel(make, nn.CrossEntropyLoss(), (1e4 * X, y), rate=10.0)
    panel.result  # noqa: B018
    assert "diverges" in panel.numbers.value
    assert any("out" in key for key in dk.plots.draw_normalization_run(panel.result).artists)


def test_own_kinds_and_parts_of_a_task(panel):
    with pytest.raises(dk.InputError, match="a part of a task"):
        NormalizationPanel(make)
    with pytest.raises(dk.InputError, match="kind"):
        NormalizationPanel(make, nn.CrossEntropyLoss(), small(), kinds=("none", "layer"), kind="batch")
    assert "depth" not in panel.controls


def test_without_ipympl_it_is_a_picture(monkeypatch):
    monkeypatch.setattr(canvas, "why_static", lambda: canvas.STATIC)
    monkeypatch.setattr(normalization, "STEPS", 6)
    panel = NormalizationPanel(make, nn.CrossEntropyLoss(), small())
    panel.result  # noqa: B018
    assert "base64" in panel.canvas._picture.value
