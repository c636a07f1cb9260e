"""The noise panel without a browser: settings in, study out, few runs first, controls at their ends."""

import asyncio
import itertools

import numpy as np
import pytest
import torch

import diagkit as dk
from diagkit.widgets import NoisePanel, NoiseSettings, canvas, gradient_noise
from diagkit.widgets.gradient_noise import DECAYS, FEW, LEVELS
from panel_scenes import settled

QUICK = dk.EscapeTask(depth=3, width=12, lr=0.2, batch_size=20, steps=80, c=1.0, r=0.5)


def small(n=60):
    X = torch.randn(n, 2, generator=torch.Generator().manual_seed(0))
    return X, (X[:, 0] > 0).long()


def quick(**options):
    return NoisePanel(small(), dk.EscapeTask(depth=3, width=6, steps=6), **({"runs": 6} | options))


@pytest.fixture
def asked(monkeypatch):
    """The seeds of each study that the panel asks for."""
    calls = []

    def study(data, task, *, seeds):
        calls.append(list(seeds))
        return dk.noise_escape_study(data, task, seeds=seeds)

    monkeypatch.setattr(gradient_noise, "noise_escape_study", study)
    return calls


def test_the_settings_come_from_the_arguments():
    panel = quick(c=0.42, seed=3)
    assert panel.settings == NoiseSettings(0.42, 0.275, 6, 3)
    assert {name: control.value for name, control in panel.controls.items()} == {
        "c": 0.42,
        "r": 0.275,
        "seed": 3,
    }
    assert list(panel.settings.seeds) == list(range(3000, 3006))
    assert not panel.runs.is_running  # nothing is trained before somebody looks


@pytest.mark.parametrize(
    "bad", [{"c": 0.0}, {"c": float("nan")}, {"r": -0.1}, {"runs": 0}, {"runs": 1001}, {"seed": -1}]
)
def test_bad_settings_are_named(bad):
    with pytest.raises(dk.InputError, match="allowed"):
        NoiseSettings(**bad)


def test_the_result_equals_the_direct_call():
    panel = quick(c=0.7, r=0.5)
    task = dk.EscapeTask(depth=3, width=6, steps=6, c=0.7, r=0.5)
    direct = dk.noise_escape_study(small(), task, seeds=range(6))
    assert panel.result.frame["loss"].equals(direct.frame["loss"])
    assert panel.result is panel.result
    assert panel.status.value == "done"


def test_a_few_runs_come_first(asked):
    panel = quick()
    first, last = list(panel.results(panel.settings))
    assert [len(seeds) for seeds in asked] == [FEW, 6]
    assert "0 of 4" in panel.words(first, panel.settings)
    assert "inconclusive" not in panel.words(first, panel.settings)
    assert "inconclusive" in panel.words(last, panel.settings)
    assert panel.reached(last, panel.settings) is None  # six runs prove nothing
    panel.draw(first, panel.settings)
    panel.canvas.figure.canvas.draw()


def test_the_annealing_is_there_at_once(asked):
    def curve(panel):
        return panel.canvas.figure.axes[0].lines[0].get_ydata()

    async def notebook():
        panel = quick()
        first = curve(panel)
        panel.controls["r"].value = 1.0
        moved = curve(panel)
        assert asked == []  # the control has not come to rest
        assert "no result yet" in panel.canvas.figure.axes[1].texts[0].get_text()
        await settled(lambda: panel.status.value == "done")
        return first, moved, curve(panel)

    first, moved, last = asyncio.run(notebook())
    steps = np.arange(6)
    np.testing.assert_allclose(first, 0.55 / (1 + steps) ** 0.275)
    np.testing.assert_allclose(moved, 0.55 / (1 + steps))
    np.testing.assert_array_equal(moved, last)


def test_the_target_can_be_reached():
    panel = NoisePanel(small(100), QUICK, r=0.0)
    assert panel.reached(panel.result, panel.settings) is False
    assert "✗ not yet" in panel.target.value
    panel.change(r=1.0)
    assert panel.reached(panel.result, panel.settings) is True
    assert "✓ reached" in panel.target.value
    assert "raises the rate of success: reproduced" in panel.numbers.value


@pytest.mark.parametrize(
    ("c", "r", "seed"),
    list(itertools.product((LEVELS[0], LEVELS[-1]), (DECAYS[0], DECAYS[-1]), (0, 2**31 - 1))),
)
def test_every_control_at_its_end(c, r, seed):
    panel = quick(c=c, r=r, seed=seed)
    assert panel.result.complete
    assert "nan" not in panel.numbers.value
    panel.canvas.figure.canvas.draw()
    assert panel.screen.errors.value == ""


def test_divergence_is_said_and_shown():
    panel = NoisePanel(small(), dk.EscapeTask(depth=6, width=12, lr=5.0, steps=40), c=10.0, r=0.0, runs=3)
    panel.result  # noqa: B018
    assert "diverged" in panel.numbers.value
    assert "diverged" in [t.get_text() for t in panel.canvas.figure.axes[1].get_legend().get_texts()]


def test_work_that_is_stopped_keeps_what_it_has(monkeypatch):
    panel = quick()
    with dk.watching(budget=0.0):
        study = panel.run()
    assert not study.complete
    assert panel.status.value == "partial: ended early"
    assert "without noise not run" in panel.numbers.value
    panel.canvas.figure.canvas.draw()

    panel, count = quick(), 0

    def study_until_stopped(data, task, *, seeds):
        nonlocal count
        count += 1
        with dk.watching(budget=None if count == 1 else 0.0):
            return dk.noise_escape_study(data, task, seeds=seeds)

    monkeypatch.setattr(gradient_noise, "noise_escape_study", study_until_stopped)
    monkeypatch.setattr(gradient_noise, "interrupted", lambda: count == 2)
    *_, last = panel.results(panel.settings)
    assert (len(last.frame), last.complete) == (16, False)  # the few runs of each arm


def test_data_and_random_state_stay_as_they_are():
    data, before = small(), torch.random.get_rng_state()
    NoisePanel(data, dk.EscapeTask(depth=2, width=3, steps=2), runs=2).run()
    assert torch.equal(data[0], small()[0])
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_picture_where_there_is_no_ipympl(monkeypatch):
    monkeypatch.setattr(canvas, "why_static", lambda: canvas.STATIC)
    panel = quick()
    first = panel.canvas.widget.children[0].value
    panel.run()
    assert panel.canvas.widget.children[0].value != first
    assert panel.canvas.widget.children[1].value == canvas.STATIC
