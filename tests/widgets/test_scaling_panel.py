"""The panel of scalings without a browser."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.experiments.scaled_inputs import ScalingTask, scaled_inputs
from diagkit.experiments.scaling_run import RATES
from diagkit.training.feature_scaling import SCALINGS
from diagkit.widgets import ScalingPanel, ScalingSettings, canvas, feature_scaling


def small():
    X = torch.randn(40, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 20.0])
    return X, X @ torch.tensor([[1.0], [0.05]])


def make():
    return nn.Linear(2, 1)


@pytest.fixture
def panel():
    return ScalingPanel(make, nn.MSELoss(), small(), target=0.01, names=("metres", "grams"))


def test_the_settings_come_from_the_arguments():
    panel = ScalingPanel(table="wine", kind="mean", rule="Adam", seed=3)
    assert panel.settings == ScalingSettings("wine", "mean", "Adam", 3)
    assert {name: control.value for name, control in panel.controls.items()} == {
        "table": "wine", "kind": "mean", "rule": "Adam", "seed": 3,
    }  # fmt: skip


def test_the_result_is_that_of_the_direct_call(panel):
    panel.change(kind="z-score")
    direct = scaled_inputs(make, nn.MSELoss(), small(), ScalingTask("z-score", target=0.01))
    for kind in direct.runs:
        assert np.array_equal(panel.result.losses(kind), direct.losses(kind))
    assert panel.result.names == ("metres", "grams")
    assert panel.status.value == "done"


def test_the_first_stage_trains_nothing(panel):
    first = next(panel.results(panel.settings))
    assert first.runs == {}
    panel.draw(first, panel.settings)
    assert "Condition number" in panel.words(first, panel.settings)
    assert panel.reached(first, panel.settings) is None


def test_a_control_changes_picture_and_words(panel):
    panel.run()
    before, said = panel.canvas.png(), panel.numbers.value
    panel.controls["kind"].value = "z-score"
    panel.result  # noqa: B018
    assert panel.numbers.value != said
    assert panel.canvas.png() != before
    panel.controls["kind"].value = "none"
    assert panel.numbers.value == said


def test_the_target():
    panel = ScalingPanel()
    assert panel.reached(panel.result, panel.settings) is False
    panel.change(kind="z-score")
    assert panel.reached(panel.result, panel.settings) is True
    panel.change(rule="Adam")
    assert panel.reached(panel.result, panel.settings) is False


@pytest.mark.parametrize(
    ("table", "kind"), list(itertools.product(feature_scaling.TARGETS, (SCALINGS[0], SCALINGS[-1])))
)
def test_every_control_at_its_end(monkeypatch, table, kind):
    monkeypatch.setattr(feature_scaling, "MAX_STEPS", 4)
    panel = ScalingPanel(table=table, kind=kind, seed=2**31 - 1)
    for rule in RATES:
        panel.change(rule=rule)
        assert panel.result.complete
        assert "nan" not in panel.numbers.value
    panel.canvas.figure.canvas.draw()
    assert panel.screen.errors.value == ""


def test_divergence_is_said():
    X, y = small()
    panel = ScalingPanel(make, nn.MSELoss(), (100 * X, y), 0.01, rule="fixed")
    panel.result  # noqa: B018
    assert "diverges" in panel.numbers.value
    assert "diverges" in panel.canvas.figure.axes[-1].get_legend().get_texts()[0].get_text()


def test_a_part_of_a_task_is_refused():
    with pytest.raises(dk.InputError, match="a part of a task"):
        ScalingPanel(make, nn.MSELoss(), small())
    with pytest.raises(dk.InputError, match="table"):
        ScalingPanel(table="iris")
    with pytest.raises(dk.InputError):
        ScalingPanel(kind="log")


def test_without_ipympl_it_is_a_picture(monkeypatch):
    monkeypatch.setattr(canvas, "why_static", lambda: canvas.STATIC)
    panel = ScalingPanel(make, nn.MSELoss(), small(), 0.01)
    panel.result  # noqa: B018
    assert "base64" in panel.canvas._picture.value
