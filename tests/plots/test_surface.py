from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import LogNorm

import diagkit as dk
from diagkit.errors import InputError
from diagkit.plots import draw
from diagkit.plots.plane_axes import MEANINGS, true_aspect
from plots.plot_cases import between, plane


def legend(drawn):
    return [text.get_text() for text in drawn.artists["legend"].get_texts()]


def caption(drawn):
    return drawn.artists["legend"].get_title().get_text().replace("\n", " ")


def test_a_runs_to_the_right_and_b_upwards(ax):
    drawn = draw(plane(lambda a, b: 10 * a + b), ax, levels=4)
    bands = drawn.artists["bands"]
    vertices = np.vstack([path.vertices for path in bands.get_paths() if len(path.vertices)][-1:])
    assert vertices[:, 0].mean() > 0.5, "the highest band lies where a is large"
    assert ax.get_xlabel().startswith("a: lowest curvature")
    assert ax.get_ylabel().startswith("b: highest curvature")


def test_the_centre_is_marked_and_its_level_drawn(ax):
    drawn = draw(plane(), ax)
    assert drawn.artists["here"].get_xydata().tolist() == [[0.0, 0.0]]
    assert drawn.artists["same_loss"].levels.tolist() == [0.0]
    assert "here: loss 0" in legend(drawn)


def test_at_a_minimum_there_is_no_line_of_the_same_loss(ax):
    assert "same_loss" not in draw(plane(lambda a, b: a**2 + b**2), ax).artists


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_cells_that_are_not_finite_are_hatched_and_counted(ax, bad):
    drawn = draw(plane(lambda a, b: np.where(a + b > 3, bad, a - b)), ax)
    assert drawn.artists["unknown"].get_hatch()
    assert "loss not finite (3 cells)" in legend(drawn)


def test_nothing_finite_is_said(ax):
    drawn = draw(plane(lambda a, b: a * np.nan), ax)
    assert "no finite loss" in drawn.artists["empty"].get_text()
    assert "colorbar" not in drawn.artists
    assert "here: loss not finite" in legend(drawn)


def test_what_was_not_computed_is_not_called_infinite(ax):
    full = plane()
    done = np.zeros_like(full.evaluated)
    done[::4, ::4] = True
    drawn = draw(replace(full, loss=np.where(done, full.loss, np.nan), evaluated=done, complete=False), ax)
    assert f"not computed ({(~done).sum()} cells)" in legend(drawn)
    assert len(drawn.artists["bands"].get_offsets()) == done.sum(), "lone cells are drawn as squares"
    assert "partial" in ax.get_title()


@pytest.mark.parametrize("value", [2.3, 0.0, -1.0, 1e-30])
def test_constant_loss(ax, value):
    drawn = draw(plane(lambda a, b: value + 0 * a), ax)
    low, high = drawn.artists["bands"].levels
    assert low < value < high
    assert len(drawn.artists["colorbar"].get_ticks()) == 1


@pytest.mark.parametrize("n", [3, 4])
def test_coarsest_planes(ax, n):
    assert "bands" in draw(plane(n=n), ax).artists


def test_a_wide_range_gets_log_levels_and_says_so(ax):
    drawn = draw(plane(lambda a, b: 1e-3 + a**2 + b**2), ax)
    assert isinstance(drawn.artists["bands"].norm, LogNorm)
    assert drawn.artists["colorbar"].ax.get_ylabel() == "loss (log scale)"


@pytest.mark.parametrize("low", [1 / 29, 1 / 31])
def test_the_scale_is_that_of_the_result(ax, low):
    result = plane(lambda a, b: low + (1 - low) * (a**2 + b**2) / 8)
    logarithmic = isinstance(draw(result, ax).artists["bands"].norm, LogNorm)
    assert logarithmic == (result.scale.name == "log") == (low < 1 / 30)


def test_forty_decades_are_not_cut(ax):
    bands = draw(plane(lambda a, b: 10.0 ** (10 * (a + b))), ax).artists["bands"]
    assert bands.levels[0] <= 1e-40
    assert bands.levels[-1] >= 1e40
    assert len(bands.levels) < 30


def test_exact_zeros_do_not_break_the_log_scale(ax):
    bands = draw(plane(lambda a, b: (a**2 + b**2) ** 3), ax).artists["bands"]
    assert isinstance(bands.norm, LogNorm)
    assert bands.levels[0] > 0


@pytest.mark.parametrize("f", [lambda a, b: 1 + a**2, lambda a, b: 1e3 * (a**2 - 1e-3)])
def test_a_narrow_range_and_one_with_negative_values_stay_linear(ax, f):
    drawn = draw(plane(f), ax)
    assert not isinstance(drawn.artists["bands"].norm, LogNorm)
    assert drawn.artists["colorbar"].ax.get_ylabel() == "loss"


def test_cells_option_shows_what_was_computed(ax):
    some = plane()
    some.evaluated[1::2] = False
    drawn = draw(some, ax, cells=True)
    assert len(drawn.artists["cells"].get_offsets()) == some.evaluated.sum()
    assert "45 of 81 cells computed (dots)" in caption(drawn)
    assert "cells" not in draw(some, ax).artists


def test_how_sure_is_said(ax):
    some = replace(plane(), max_error=0.00712)
    assert caption(draw(some, ax)) == "every cell computed"
    some.evaluated[1::2] = False
    assert caption(draw(some, ax)) == "45 of 81 cells computed, error at most about 0.71 % of the range"
    assert "error below 0.01 %" in caption(draw(replace(some, max_error=1e-7), ax))
    assert caption(draw(replace(some, max_error=np.nan), ax)) == "45 of 81 cells computed"


def test_a_caption_is_broken_where_the_axes_are_narrow():
    some = replace(plane(), max_error=0.00712)
    some.evaluated[1::2] = False
    _, (left, _) = plt.subplots(1, 2, figsize=(10, 5))
    lines = draw(some, left).artists["legend"].get_title().get_text().splitlines()
    assert lines == ["45 of 81 cells computed,", "error at most about 0.71 % of the range"]


@pytest.mark.parametrize("kind", MEANINGS)
def test_every_kind_of_plane_says_what_a_step_means(ax, kind):
    draw(plane(kind=kind), ax)
    for name in (ax.get_xlabel(), ax.get_ylabel()):
        assert "(" in name, "a unit, or where 0 and 1 are"


def test_given_directions_are_named_with_their_lengths(ax):
    draw(plane(kind="given", directions=np.diag([1.0, 2.5])), ax)
    assert ax.get_xlabel() == "a: direction 1 (in units of θ)"
    assert ax.get_ylabel() == "b: direction 2\n(1 = 2.5 in units of θ)"


def test_known_kinds_are_those_of_the_measurements():
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Tanh(), torch.nn.Linear(2, 1)).double()
    obj = dk.Objective(net, torch.nn.MSELoss(), (torch.eye(2), torch.ones(2, 1)))
    other, third = (obj.theta + torch.randn(obj.num_params) for _ in range(2))
    planes = [dk.loss_plane(obj, kind, resolution=3) for kind in ("random", "eigenvectors", "gradient")]
    planes += [dk.loss_plane(obj, to=to, resolution=3) for to in (other, [other, third])]
    planes += [dk.loss_plane(obj, dk.trajectory_plane(obj, [other, third, obj.theta]), resolution=3)]
    planes += [dk.loss_plane(obj, dk.connect_modes(obj, other, steps=2), resolution=3)]
    assert len({result.kind for result in planes} & set(MEANINGS)) == 7


@pytest.mark.parametrize(
    ("directions", "aspect"),
    [(np.eye(2), 1.0), (np.diag([2.0, 3.0]), 1.5), ([[1, 0], [1, 1]], None), (np.diag([1.0, 9.0]), None)],
)
def test_distances_are_true_where_they_can_be(ax, directions, aspect):
    result = plane(directions=np.array(directions, dtype=float))
    assert true_aspect(result) == aspect
    drawn = draw(result, ax)
    assert ax.get_aspect() == (aspect or "auto")
    assert ("not drawn to scale" in caption(drawn)) == (aspect is None)
    if aspect:
        ax.figure.canvas.draw()
        a, b = ax.transData.transform([[1.0, 0.0], [0.0, 1.0]]) - ax.transData.transform([0.0, 0.0])
        assert b[1] / a[0] == pytest.approx(aspect)


def test_marks_are_named_with_their_losses(ax):
    drawn = draw(between(), ax)
    assert [mark.get_xydata().tolist() for mark in drawn.artists["marks"]] == [[[1.0, 0.0]]]
    assert "other point\nloss 0.25" in [text.get_text() for text in ax.texts]


def test_the_barrier_is_said_where_two_points_are_joined(ax):
    result = between(height=2.0)
    drawn = draw(result, ax)
    assert drawn.artists["straight_way"].get_xydata().tolist() == [[0.0, 0.0], [1.0, 0.0]]
    assert drawn.artists["barrier"].get_xydata()[0] == pytest.approx([0.5, 0.0], abs=0.03)
    assert ax.get_title().splitlines()[1] == "barrier on the straight way: 2"


@pytest.mark.parametrize(("height", "error"), [(0.0, 0.0), (0.1, 0.5)])
def test_no_barrier_is_claimed_within_the_error(ax, height, error):
    drawn = draw(between(height=height, max_error=error), ax)
    assert "barrier" not in drawn.artists
    assert "no barrier seen" in ax.get_title()


@pytest.mark.parametrize("width", [5.0, 8.0])
def test_a_contour_that_comes_or_goes_moves_nothing(width):
    figure, axes = plt.subplots(layout="constrained", figsize=(width, 5.0))
    boxes = []
    for result in (plane(), plane(lambda a, b: a**2 + b**2)):  # only a saddle has a line of the same loss
        axes.clear()
        draw(result, axes, cells=True)
        for _ in range(
            2
        ):  # matplotlib settles the first layout of a picture in true shape at the second time
            figure.canvas.draw()
        boxes.append(axes.get_window_extent().bounds)
    np.testing.assert_allclose(*boxes, atol=1.0)  # pixels


def test_stages_follow_each_other_on_the_same_axes():
    net = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    torch.manual_seed(0)
    obj = dk.Objective(net, torch.nn.MSELoss(), (torch.randn(16, 4), torch.randn(16, 1)))
    figure, axes = plt.subplots(layout="constrained")
    boxes, bars, titles = [], [], []
    stages = list(dk.refine_loss_plane(obj, extent=3.0))
    for stage in (stages[0], stages[2], stages[-1]):
        axes.clear()
        drawn = draw(stage, axes)
        figure.canvas.draw()
        boxes.append(axes.get_window_extent().bounds)
        bars.append(drawn.artists["colorbar"].ax.get_window_extent().bounds)
        titles.append(axes.get_title())
        assert figure.axes == [axes], "no bar is left over"
    np.testing.assert_allclose(boxes, boxes[-1:] * len(boxes), atol=1.0)  # pixels
    np.testing.assert_allclose(bars, bars[-1:] * len(bars), atol=1.0)
    assert "partial" in titles[0]
    assert "partial" not in titles[-1]


@pytest.mark.parametrize("levels", [1, 2.5, True])
def test_bad_levels_are_refused(levels):
    with pytest.raises(InputError, match="levels"):
        draw(plane(), levels=levels)
