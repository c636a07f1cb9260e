"""The critical point panel without a browser: settings in, surroundings out, clicks as events."""

import itertools

import numpy as np
import pytest

import diagkit as dk
from diagkit.clinic import places
from diagkit.measure.surroundings import look_around
from diagkit.widgets import CriticalPointPanel, canvas


@pytest.fixture(scope="module")
def panel():
    return CriticalPointPanel(place="two weights")


def numbers(panel):
    return panel.numbers.value


def test_the_result_is_that_of_the_direct_call(panel):
    *_, direct = look_around(dk.Objective(*dk.clinic.two_weights()), seed=0)
    assert panel.result.reach == direct.reach
    assert np.array_equal(panel.result.lines["lowest"].loss, direct.lines["lowest"].loss)
    assert np.array_equal(panel.result.plane.loss, direct.plane.loss)


def test_the_first_stage_draws_nothing_but_the_verdict():
    panel = CriticalPointPanel(place="two weights")
    first = next(panel.results(panel.settings))
    panel.draw(first, panel.settings)
    assert "saddle" in panel.verdict.figure.axes[0].get_title()
    assert [ax.texts[0].get_text() for ax in panel.canvas.figure.axes] == ["being measured"] * 2
    assert "saddle" in panel.words(first, panel.settings)


def test_step_and_direction_change_the_view_and_compute_nothing(panel):
    before = panel.result
    panel.change(direction="lowest", step=0)
    still = numbers(panel)
    title = panel.canvas.figure.axes[1].get_title()
    panel.controls["step"].value = 50
    assert panel.result is before
    assert numbers(panel) != still
    assert panel.canvas.figure.axes[1].get_title() != title
    t, _, loss = before.step("lowest", 0.5)
    assert panel._drawn[2].artists["measured"].get_xydata().tolist() == [[t, loss]]
    assert panel._drawn[3].artists["end"].get_xydata().tolist() == [[t, 0.0]]
    panel.controls["direction"].value = "highest"
    assert panel._drawn[3].artists["end"].get_xydata().tolist() == [[0.0, t]]
    panel.controls["direction"].value = "random"
    assert "leaves this plane" in panel._drawn[3].artists["outside"].get_text()


def test_a_click_on_the_curve_chooses_the_step(panel):
    panel.change(direction="lowest", step=0)
    panel.result  # noqa: B018
    reach = panel.result.reach
    ax = panel.canvas.figure.axes[1]
    panel.canvas.click(ax, -0.48 * reach, 0.3)
    assert panel.settings.step == -50
    assert panel.controls["step"].value == -50
    panel.canvas.click(panel.canvas.figure.axes[0], 0.5, 0.5)  # the plane takes none
    assert panel.settings.step == -50


def test_the_target_is_reached_along_the_lowest_curvature_only():
    panel = CriticalPointPanel(place="zero network", step=70)
    found = {}
    for direction in ("lowest", "highest", "random"):
        panel.change(direction=direction)
        found[direction] = panel.reached(panel.result, panel.settings)
    assert found == {"lowest": True, "highest": False, "random": False}
    panel.change(direction="lowest", step=0)
    assert "not yet" in panel.target.value


@pytest.mark.parametrize("place", list(places()))
def test_every_control_at_its_end(place):
    panel = CriticalPointPanel(places=places(), place=place)
    for direction, step in itertools.product(("lowest", "highest", "random"), (-100, 0, 100)):
        panel.change(direction=direction, step=step, seed=0)
        assert panel.result.complete
        assert "nan" not in numbers(panel)
        panel.canvas.figure.canvas.draw()
    assert panel.screen.errors.value == ""


def test_your_own_objective_is_examined_and_left_alone():
    obj = places()["plateau"](1)
    before = obj.theta.clone()
    panel = CriticalPointPanel(obj)
    assert panel.result.point.verdict == "not-critical"
    assert panel.goal == ""
    assert bool((obj.theta == before).all())


def test_without_ipympl_it_is_a_picture(monkeypatch):
    monkeypatch.setattr(canvas, "why_static", lambda: canvas.STATIC)
    panel = CriticalPointPanel(place="two weights")
    panel.result  # noqa: B018
    before = panel.canvas._picture.value
    panel.change(step=50)
    assert panel.canvas._picture.value != before
    assert "foretells" in numbers(panel)


@pytest.mark.parametrize(
    "bad", [{"place": "nowhere"}, {"direction": "up"}, {"step": 101}, {"places": {}}, {"obj": 3}]
)
def test_bad_arguments_are_named(bad):
    with pytest.raises(dk.InputError, match="allowed"):
        CriticalPointPanel(**bad)
