import numpy as np
import pytest
import torch

import diagkit as dk
from oracles import NO_DATA, FunctionOfParameters, exact_cases, mean_output

SADDLES = [c for c in exact_cases() if c.verdict == "saddle"]
OTHERS = [c for c in exact_cases() if c.verdict != "saddle"]


@pytest.mark.parametrize("case", SADDLES, ids=lambda c: c.name)
def test_every_saddle_is_left(case):
    obj = case.objective()
    escape = dk.escape_saddle(obj)
    assert escape.escaped
    assert escape.loss_after < escape.loss_before == obj.loss()
    assert obj.loss(escape.theta) == pytest.approx(escape.loss_after, rel=1e-9, abs=1e-12)
    np.testing.assert_allclose(escape.theta, obj.theta.numpy() + escape.step * escape.direction, atol=1e-12)
    assert escape.curvature == pytest.approx(case.eigenvalues[0], rel=1e-3)


@pytest.mark.parametrize("case", SADDLES[::3], ids=lambda c: c.name)
def test_small_steps_fall_as_predicted(case):
    obj = case.objective()
    escape = dk.escape_saddle(obj)
    for t in (1e-3, -1e-3):
        drop = obj.loss(obj.theta + t * torch.as_tensor(escape.direction)) - escape.loss_before
        assert drop == pytest.approx(0.5 * escape.curvature * t**2, rel=0.02)


@pytest.mark.parametrize("case", OTHERS, ids=lambda c: c.name)
def test_never_worse_than_before(case):
    escape = dk.escape_saddle(case.objective())
    assert escape.loss_after <= escape.loss_before
    if case.verdict is not None:
        assert not escape.escaped
        assert escape.step == 0.0
        assert "nothing to escape" in escape.explanation


@pytest.mark.parametrize("start", [[0.0, 0.0], [1.0, 1.0]])
def test_saddle_where_the_loss_is_zero(start):
    centre = torch.tensor(start)
    f = FunctionOfParameters(lambda w: (w - centre).prod() + ((w - centre) ** 4).sum(), start)
    escape = dk.escape_saddle(dk.Objective(f, mean_output, NO_DATA))
    assert escape.loss_after == pytest.approx(-0.125, abs=1e-3)


def test_prediction_is_the_parabola():
    escape = dk.escape_saddle(SADDLES[0].objective())
    expected = escape.loss_before + 0.5 * escape.curvature * escape.t**2
    np.testing.assert_allclose(escape.predicted, expected, atol=1e-12)
    assert (np.diff(escape.t) > 0).all()


def test_a_loss_without_bound_ends():
    f = FunctionOfParameters(lambda w: w[0] ** 2 - w[1] ** 2, [0.0, 0.0])
    escape = dk.escape_saddle(dk.Objective(f, mean_output, NO_DATA))
    assert escape.escaped
    assert np.isfinite(escape.loss_after)
