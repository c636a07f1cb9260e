"""The surface explorer without a browser."""

import re

import numpy as np
import pytest
import torch

import diagkit as dk
from diagkit.widgets import SurfacePanel, SurfaceSettings, canvas


@pytest.fixture
def pair():
    """Training and validation losses of a small network that stands somewhere."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)).double()
    X = torch.randn(2, 20, 3, dtype=torch.float64)
    y = X.sum(2, keepdim=True) + 0.3 * torch.randn(2, 20, 1, dtype=torch.float64)
    return tuple(dk.Objective(net, torch.nn.MSELoss(), (X[k], y[k])) for k in range(2))


def test_settings_in_pictures_out(pair):
    panel = SurfacePanel(*pair, seed=5, extent=0.5)
    found = panel.result
    plane = dk.loss_plane(pair[0], "random", extent=0.5, seed=5)
    assert np.array_equal(found.train.loss, plane.loss)
    assert np.array_equal(found.val.loss, dk.loss_plane(pair[1], found.plane, extent=0.5).loss)
    assert found.complete
    assert panel.settings == SurfaceSettings(seed=5, extent=0.5)


@pytest.mark.parametrize("kind", ["eigenvectors", "gradient"])
def test_planes_of_curvature_and_of_the_gradient(pair, kind):
    panel = SurfacePanel(pair[0], plane=kind)
    assert np.array_equal(panel.result.train.loss, dk.loss_plane(pair[0], kind).loss)
    assert panel.result.val is None
    assert "data" not in panel.controls


def test_checkpoints_and_trajectories_have_planes_of_their_own(pair):
    obj = pair[0]
    thetas = obj.theta + torch.randn(6, obj.num_params, dtype=torch.float64).cumsum(0) * 0.1
    path = dk.trajectory_plane(obj, thetas)
    panel = SurfacePanel(obj, to=thetas[0], planes={"training path": path})
    assert panel.controls["plane"].options[-2:] == ("checkpoints", "training path")
    panel.change(plane="checkpoints")
    assert panel.result.train.kind == "between two points"
    panel.change(plane="training path")
    assert panel.result.train.kind == "trajectory"
    drawn = [line.get_xydata() for line in panel.view.map.get_lines()]
    assert any(np.array_equal(line, path.path) for line in drawn)


def test_the_first_picture_takes_few_passes_and_each_next_one_more(pair):
    panel = SurfacePanel(*pair, extent=3.0)
    stages = list(panel.results(panel.settings))
    assert stages[0].train.num_evals == 25
    assert stages[0].val is None
    assert stages[1].val.num_evals == 25
    counts = [stage.train.num_evals for stage in stages]
    assert counts == sorted(counts)
    assert (stages[0].complete, stages[-1].complete) == (False, True)


def test_a_click_computes_the_loss_there(pair):
    panel = SurfacePanel(*pair)
    panel.run()
    train = panel.result.train
    panel.view.canvas.click(panel.view.map, 0.5, -0.25)
    assert (panel.settings.a, panel.settings.b) == pytest.approx((0.5, -0.25), abs=0.01)
    reading = panel.reading
    point = panel.result.plane.point(panel.settings.a, panel.settings.b)
    assert reading.computed == pair[0].loss(point)
    assert abs(reading.computed - reading.interpolated) < 2 * reading.allowed
    assert panel.result.train is train, "nothing else was computed"
    assert panel.controls["a"].value == panel.settings.a
    assert f"computed {reading.computed:.4g}" in panel.numbers.value
    assert f"computed {pair[1].loss(point):.4g}" in panel.numbers.value


def test_a_click_beside_the_map_does_nothing(pair):
    panel = SurfacePanel(*pair)
    panel.run()
    panel.view.canvas.click(panel.view.canvas.figure.axes[1], 0.5, 1.0)
    assert (panel.settings.a, panel.settings.b) == (0.0, 0.0)


def test_a_place_can_be_typed_also_outside_of_the_picture(pair):
    panel = SurfacePanel(pair[0])
    panel.run()
    panel.controls["a"].value = 3.0
    assert panel.reading.computed == pair[0].loss(panel.result.plane.point(3.0, 0.0))
    assert "no number in the picture" in panel.numbers.value


def test_the_switch_of_data_shows_the_other_picture_and_computes_nothing(pair):
    panel = SurfacePanel(*pair)
    before = panel.run()
    assert panel.view.map.get_title().startswith("Training")
    panel.controls["data"].value = "validation"
    assert panel.view.map.get_title().startswith("Validation")
    assert panel.result is before


def test_the_target_is_reached_by_a_computed_loss(pair):
    lowest = dk.loss_plane(pair[0], "gradient").loss.min()
    panel = SurfacePanel(pair[0], plane="gradient", goal_loss=float(lowest) + 0.05)
    panel.run()
    assert "✗ not yet" in panel.target.value
    i, j = np.unravel_index(panel.result.train.loss.argmin(), panel.result.train.loss.shape)
    panel.change(a=float(panel.result.train.a[i]), b=float(panel.result.train.b[j]))
    assert "✓ reached" in panel.target.value


@pytest.mark.parametrize("extent", [0.1, 10.0])
@pytest.mark.parametrize("kind", ["random", "eigenvectors", "gradient"])
def test_every_control_at_its_end(pair, kind, extent):
    panel = SurfacePanel(*pair, goal_loss=0.0, tol=0.1)
    panel.change(plane=kind, extent=extent, seed=2**31 - 1, a=1e30, b=-1e30)
    panel.run()
    assert not re.search(r"\bnan\b", panel.numbers.value, re.I)
    panel.change(a=extent, b=-extent, data="validation")
    assert not re.search(r"\bnan\b", panel.numbers.value, re.I)
    panel.view.canvas.png()


def test_a_surface_that_overflows_is_shown_as_such():
    torch.manual_seed(0)
    X, y = torch.randn(20, 3), torch.ones(20, 1)
    obj = dk.Objective(torch.nn.Linear(3, 1), torch.nn.PoissonNLLLoss(), (X, y))
    panel = SurfacePanel(obj, extent=500.0, a=500.0, b=500.0)
    panel.run()
    assert "loss not finite" in panel.numbers.value
    assert "nan" not in panel.numbers.value.lower()
    panel.view.canvas.png()


def test_stopped_at_once_there_is_a_partial_picture(pair):
    panel = SurfacePanel(*pair)
    with dk.watching(budget=0.0):
        found = panel.run()
    assert not found.complete
    assert panel.status.value == "partial: ended early"
    assert "nan" not in panel.numbers.value.lower()
    panel.view.canvas.png()
    assert panel.run().complete, "half a plane is not kept"


def test_the_model_stays_as_it_was(pair):
    model = pair[0].model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    panel = SurfacePanel(*pair)
    for kind in ("random", "eigenvectors", "gradient"):
        panel.change(plane=kind, a=0.3)
        panel.run()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"plane": "flat"}, "plane='flat'"),
        ({"extent": 0.0}, "extent"),
        ({"data": "test"}, "data='test'"),
        ({"data": "validation"}, "val_obj"),
        ({"a": float("nan")}, "finite"),
        ({"seed": -1}, "seed"),
        ({"tol": 0.0}, "tol"),
    ],
)
def test_bad_arguments_are_named(pair, changes, words):
    with pytest.raises(dk.InputError, match=words):
        SurfacePanel(pair[0], **changes)


def test_objectives_of_different_models_are_refused(pair):
    other = dk.Objective(torch.nn.Linear(3, 1), torch.nn.MSELoss(), (torch.ones(2, 3), torch.ones(2, 1)))
    with pytest.raises(dk.InputError, match="one model"):
        SurfacePanel(pair[0], other)


def test_where_the_gradient_is_zero_its_plane_is_refused_and_the_panel_stays_usable():
    obj = dk.Objective(*dk.clinic.two_weights())
    panel = SurfacePanel(obj, plane="eigenvectors")
    panel.run()
    panel.change(plane="gradient")
    with pytest.raises(dk.InputError, match="exactly 0"):
        panel.run()
    panel.change(plane="eigenvectors")
    assert panel.result.complete


def test_without_ipympl_it_is_a_picture(pair, monkeypatch):
    monkeypatch.setattr(canvas, "why_static", lambda: canvas.STATIC)
    panel = SurfacePanel(*pair)
    panel.run()
    shown = panel.view.canvas
    first = shown._picture.value
    assert "data:image/png" in first
    panel.change(a=0.4, b=0.4)
    assert shown._picture.value != first


def test_surfaces_without_a_loss_in_common_have_colours_of_their_own(pair):
    obj, data = pair[0], (torch.randn(20, 3, dtype=torch.float64), torch.full((20, 1), 30.0))
    far = dk.Objective(obj.model, torch.nn.MSELoss(), data)
    panel = SurfacePanel(obj, far, extent=0.1)
    panel.run()
    bar = panel.view.map.child_axes[0]
    assert bar.get_ylim()[1] < 100
    panel.change(data="validation")
    assert panel.view.map.child_axes[0].get_ylim()[0] > 500
