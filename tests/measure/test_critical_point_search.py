import numpy as np
import pytest
import torch

import diagkit as dk
from oracles import NO_DATA, FunctionOfParameters, exact_cases, mean_output, randn

METHODS = ["newton-mr", "gradient-norm"]
SADDLES = [c for c in exact_cases() if c.verdict in ("saddle", "minimum-within-tolerance")][::4]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", SADDLES, ids=lambda c: c.name)
def test_back_to_a_critical_point_from_nearby(case, method):
    obj = case.objective()
    start = obj.at(obj.theta + 0.01 * randn(obj.num_params, seed=1))
    point = dk.find_critical_point(start, method=method)
    assert point.verdict == case.verdict, point.explanation
    assert point.gradient_norm < 1e-5 * point.largest.scale
    assert point.index == case.index
    assert torch.equal(start.theta, obj.theta + 0.01 * randn(obj.num_params, seed=1))


@pytest.mark.parametrize("method", METHODS)
def test_a_saddle_is_reached_and_not_avoided(method):
    f = FunctionOfParameters(lambda w: w[0] ** 4 / 4 - w[0] ** 2 / 2 + w[1] ** 2, [0.2, 0.3])
    point = dk.find_critical_point(dk.Objective(f, mean_output, NO_DATA), method=method)
    assert point.verdict == "saddle"
    np.testing.assert_allclose(point.theta, [0.0, 0.0], atol=1e-5)
    assert (np.diff(point.gradient_norms) <= 1e-9).all()


@pytest.mark.parametrize("method", METHODS)
def test_gradient_flat_is_reported_as_such(method):
    """H g = 0 but g is not: a minimizer of the gradient norm stays here for ever."""
    f = FunctionOfParameters(lambda w: w[0] ** 2 + w[1], [0.5, 0.0])
    point = dk.find_critical_point(dk.Objective(f, mean_output, NO_DATA), method=method)
    assert point.verdict == "gradient-flat"
    assert point.gradient_norm == pytest.approx(1.0, abs=1e-6)
    assert point.newton_residual > 0.9
