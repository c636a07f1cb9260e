"""Reading a picture at a place and along a line, against the function itself."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import diagkit as dk
from diagkit.measure.surface.planes import as_plane
from diagkit.measure.surface.reading import interpolated, read_loss, section


@pytest.fixture
def obj():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1)).double()
    X = torch.randn(20, 3, dtype=torch.float64)
    return dk.Objective(net, torch.nn.MSELoss(), (X, X.sum(1, keepdim=True)))


@pytest.mark.parametrize("kind", ["random", "gradient"])
def test_what_is_read_is_the_loss_and_the_picture_is_as_sure_as_it_says(obj, kind):
    plane = as_plane(obj, kind, seed=3)
    picture = dk.loss_plane(obj, plane, extent=1.5)
    for a, b in np.random.default_rng(0).uniform(-1.5, 1.5, (20, 2)):
        found = read_loss(obj, plane, picture, a, b)
        assert found.computed == obj.loss(plane.point(a, b))
        assert abs(found.interpolated - found.computed) <= 1.5 * found.allowed
    assert found.here == pytest.approx(obj.loss(), abs=found.allowed)


def test_outside_of_the_picture_it_says_nothing(obj):
    plane = as_plane(obj, seed=0)
    found = read_loss(obj, plane, dk.loss_plane(obj, plane), 5.0, 0.0)
    assert np.isfinite(found.computed)
    assert np.isnan(found.interpolated)
    with pytest.raises(dk.InputError, match="finite"):
        read_loss(obj, plane, dk.loss_plane(obj, plane), np.nan, 0.0)


def test_no_number_is_laid_over_cells_without_one(obj):
    full = dk.loss_plane(obj, resolution=5, tol=None)
    loss = full.loss.copy()
    loss[-1, -1] = np.inf
    picture = replace(full, loss=loss)
    corner = interpolated(picture, [[0.9, 0.9], [-0.9, -0.9], [0.5, 0.5]])
    assert np.isnan(corner[0])
    assert np.isfinite(corner[1])


@pytest.mark.parametrize("place", [(0.0, 0.0), (0.0, -0.3), (1e-9, 1e-9), (7.0, 2.0)])
def test_a_section_runs_from_border_to_border(obj, place):
    picture = dk.loss_plane(obj, resolution=21)
    cut = section(picture, *place)
    ends = cut.s[[0, -1], None] * np.array(cut.direction)
    assert np.abs(ends).max(axis=1) == pytest.approx([1.0, 1.0])
    assert np.isfinite(cut.loss).all()
    direction = np.array(place) / np.hypot(*place) if any(place) else np.array([1.0, 0.0])
    assert cut.direction == pytest.approx(tuple(direction))
    middle = np.interp(0.0, cut.s, cut.loss)
    assert middle == pytest.approx(obj.loss(), abs=picture.max_error * np.ptp(picture.loss) + 1e-3)
