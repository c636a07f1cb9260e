"""What surrounds a point, against closed forms."""

import numpy as np
import pytest
import torch

import diagkit as dk
from diagkit.clinic import places
from diagkit.measure.surroundings import Surroundings, look_around
from diagkit.work import watching


def last(obj, **options):
    *_, found = look_around(obj, **options)
    return found


def test_each_stage_knows_more():
    stages = list(look_around(dk.Objective(*dk.clinic.two_weights())))
    assert [(len(s.lines), s.plane is not None, s.complete) for s in stages] == [
        (0, False, False),
        (3, False, False),
        (3, True, False),
        (3, True, True),
    ]
    assert stages[0].step("lowest", 0.5) is None


def test_the_lines_of_the_smallest_saddle_are_exact():
    found = last(dk.Objective(*dk.clinic.two_weights()))
    for name, sign in (("lowest", 1.0), ("highest", -1.0)):  # w1 w2 = +-t^2 / 2
        line = found.lines[name]
        assert line.loss == pytest.approx((sign * line.t**2 / 2 - 1) ** 2 / 2, abs=1e-12)
        assert line.parabola == pytest.approx(0.5 - sign * line.t**2 / 2, abs=1e-12)
    assert np.linalg.norm(found.lines["random"].direction) == pytest.approx(1.0)


def test_a_step_is_read_off_the_samples():
    found = last(dk.Objective(*dk.clinic.two_weights()))
    line = found.lines["highest"]
    t, foretold, loss = found.step("highest", 0.25)
    k = int(np.abs(line.t - t).argmin())
    assert t == pytest.approx(0.25 * found.reach)
    assert (foretold, loss) == (pytest.approx(line.parabola[k]), pytest.approx(line.loss[k]))


def test_it_agrees_with_the_single_calls():
    obj = places()["zero network"](0)
    found = last(obj, seed=3)
    point = dk.classify_critical_point(obj, seed=3)
    assert np.array_equal(found.point.smallest.values, point.smallest.values)
    step = dk.escape_saddle(obj, point, seed=3).step
    assert found.reach == pytest.approx(1.5 * abs(step))


@pytest.mark.parametrize("name", list(places()))
def test_every_kind_of_place_has_its_surroundings(name):
    found = last(places()[name](0))
    assert found.complete
    assert found.reach > 0
    assert (found.plane is None) == (found.point.theta.size == 1)
    for direction in found.lines:
        assert np.isfinite(found.step(direction, -0.7)).all()
    if found.plane is not None:
        low, high = found.plane.directions
        assert low @ high == pytest.approx(0.0, abs=1e-6)


def test_where_all_is_flat_the_directions_are_drawn():
    obj = places()["flat saddle"](0)
    one, other = last(obj, seed=0), last(obj, seed=1)
    assert not np.allclose(one.lines["lowest"].direction, other.lines["lowest"].direction)
    assert np.ptp(one.lines["lowest"].loss) > 0.1


def test_an_early_end_is_partial():
    with watching(budget=0.0):
        found = last(places()["zero network"](0))
    assert isinstance(found, Surroundings)
    assert not found.complete


def test_bad_arguments_are_named():
    obj = dk.Objective(*dk.clinic.two_weights())
    with pytest.raises(dk.InputError, match="resolution"):
        last(obj, resolution=2)
    with pytest.raises(dk.InputError, match="Objective"):
        last(torch.nn.Linear(1, 1))
