import pytest
import torch

import diagkit as dk
from oracles import NO_DATA, FunctionOfParameters, case_of_function, digits_objective, mean_output, quadratic


def at(f, *start):
    return dk.Objective(FunctionOfParameters(f, *start), mean_output, NO_DATA)


POINTS = {
    "minimum": (lambda w: (w**2).sum(), [0.0, 0.0], "minimum-within-tolerance"),
    "maximum": (lambda w: -(w**2).sum(), [0.0, 0.0], "maximum"),
    "saddle": (lambda w: w[0] ** 2 - w[1] ** 2, [0.0, 0.0], "saddle"),
    "saddle where the loss is 0": (lambda w: (w[0] - 1) * (w[1] - 1), [1.0, 1.0], "saddle"),
    "saddle where large terms cancel": (lambda w: w[0] * w[1] - w[0] - w[1] + 1, [1.0, 1.0], "saddle"),
    "shallow saddle": (lambda w: w[0] ** 2 - 1e-3 * w[1] ** 2, [0.0, 0.0], "saddle"),
    "slope": (lambda w: (w**2).sum(), [1.0, 2.0], "not-critical"),
    "slope of a saddle": (lambda w: w[0] ** 2 - w[1] ** 2, [1.0, 2.0], "not-critical"),
    "plain": (lambda w: 3 * w.sum(), [1.0, 2.0], "gradient-flat"),
    "valley with a slope along it": (lambda w: w[0] ** 2 + w[1], [0.0, 0.0], "gradient-flat"),
    "constant": (lambda w: 0 * w.sum() + 1, [1.0, 2.0], "degenerate"),
    "flat direction": (lambda w: w[0] ** 2 + 0 * w[1], [0.0, 3.0], "minimum-within-tolerance"),
    "quartic descent": (lambda w: w[0] ** 2 - w[1] ** 4, [0.0, 0.0], "degenerate"),
    "cubic": (lambda w: w[0] ** 2 + w[1] ** 3, [0.0, 0.0], "degenerate"),
    "quartic minimum": (lambda w: w[0] ** 2 + w[1] ** 4, [0.0, 0.0], "minimum-within-tolerance"),
    "ridge with a quartic rise": (lambda w: -(w[0] ** 2) + w[1] ** 4, [0.0, 0.0], "degenerate"),
    "kink": (lambda w: torch.relu(w).sum() + torch.relu(-w).sum(), [0.0, 0.0], "degenerate"),
    "kink over a hill": (lambda w: w.abs().sum() - (w**2).sum(), [0.0, 0.0], "undecided"),
}


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("name", POINTS)
def test_verdict(name, factor):
    f, start, verdict = POINTS[name]
    point = dk.classify_critical_point(at(lambda w: factor * f(w), start))
    assert point.verdict == verdict, point.explanation
    assert point.explanation


@pytest.mark.parametrize("size", [3, 300])
def test_verdict_in_many_dimensions(size):
    H = torch.diag(torch.linspace(1, 5, size, dtype=torch.float64))
    assert dk.classify_critical_point(quadratic(H)).verdict == "minimum-within-tolerance"
    H[0, 0] = -0.5
    point = dk.classify_critical_point(quadratic(H))
    assert point.verdict == "saddle"
    assert point.index == (1 if size == 3 else None)
    assert point.smallest.values[0] == pytest.approx(-0.5, abs=0.01)


def test_a_minimum_is_never_claimed_bare():
    point = dk.classify_critical_point(case_of_function("", lambda w: w @ w, [[0.0]], [2.0], "").objective())
    assert point.verdict == "minimum-within-tolerance"
    assert "all curvatures were computed: no curvature below 2" in point.explanation
    assert "Probable" not in point.explanation, "nothing was left to chance"
    assert "nothing global is claimed" in point.explanation


def test_a_kink_is_told():
    f, start, _ = POINTS["kink"]
    explanation = dk.classify_critical_point(at(f, start)).explanation
    assert "zero to rounding" in explanation
    assert "raise the loss" in explanation


def test_a_trained_network_is_not_critical():
    point = dk.classify_critical_point(digits_objective())
    assert point.verdict == "not-critical"
    assert point.gradient_norm > 1e-4
    assert 0 <= point.newton_residual <= 0.9
    assert point.index is None


def test_none_below_bounds_the_spectrum():
    H = torch.diag(torch.linspace(0.2, 5, 400, dtype=torch.float64))
    point = dk.classify_critical_point(quadratic(H))
    assert point.none_below <= 0.2 <= point.smallest.values[0] + 1e-9
    assert point.none_below > -0.5
