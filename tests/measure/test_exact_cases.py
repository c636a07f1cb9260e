"""Every critical point with a known spectrum: eigenvalues, multiplicities, verdict, index."""

import numpy as np
import pytest
import torch

import diagkit as dk
from oracles import digits_objective, digits_spectrum, exact_cases, tanh_net_on_digits

CASES = {case.name: case for case in exact_cases()}


@pytest.mark.parametrize("name", CASES)
def test_eigenvalues(name):
    case = CASES[name]
    obj = case.objective()
    for which, true in [("smallest", case.eigenvalues), ("largest", case.eigenvalues[::-1])]:
        pairs = dk.hessian_eigenvalues(obj, obj.num_params, which=which, tol=1e-10)
        assert pairs.multiplicities_seen
        np.testing.assert_allclose(pairs.values, true, atol=1e-10)
        assert pairs.converged.all()
        assert pairs.num_hvps <= obj.num_params


@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.verdict])
def test_verdict_and_index(name):
    case = CASES[name]
    point = dk.classify_critical_point(case.objective())
    assert point.verdict == case.verdict, point.explanation
    assert point.index == case.index
    assert point.gradient_norm < 1e-10
    if case.loss is not None:
        assert point.loss == pytest.approx(case.loss, rel=1e-12)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
@pytest.mark.parametrize("name", [n for n, c in CASES.items() if c.verdict][::4])
def test_the_scale_of_the_loss_does_not_matter(name, factor):
    case = CASES[name]
    obj = dk.Objective(case.model, lambda out, y: factor * case.loss_fn(out, y), case.data)
    point = dk.classify_critical_point(obj)
    assert (point.verdict, point.index) == (case.verdict, case.index)


@pytest.mark.parametrize("hidden", [4, 10])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("which", ["largest", "smallest"])
def test_repeated_eigenvalues_of_a_real_network(hidden, dtype, which):
    case = tanh_net_on_digits(hidden, dtype)
    tol = 1e-8 if dtype == torch.float64 else 1e-4
    pairs = dk.hessian_eigenvalues(case.objective(), 3 * hidden, which=which, tol=tol)
    true = case.eigenvalues if which == "smallest" else case.eigenvalues[::-1]
    distance = np.abs(true[:, None] - pairs.values).min(axis=0)
    assert (distance <= pairs.residuals).all()
    assert abs(pairs.values[0] - true[0]) <= pairs.residuals[0]
    if dtype == torch.float64:
        assert pairs.multiplicities_seen
    if pairs.multiplicities_seen:
        np.testing.assert_allclose(pairs.values, true[: 3 * hidden], atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_zero_network_is_a_saddle(dtype):
    case = tanh_net_on_digits(4, dtype)
    obj = case.objective()
    point = dk.classify_critical_point(obj)
    assert point.verdict == "saddle"
    assert point.loss == pytest.approx(np.log(10), rel=1e-6)
    assert dk.escape_saddle(obj, point).loss_after < np.log(10) - 0.05


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("seed", range(3))
def test_price_and_accuracy_on_a_trained_network(dtype, seed):
    obj, true = digits_objective(dtype), digits_spectrum()
    top5 = dk.hessian_eigenvalues(obj, 5, tol=1e-6, max_hvps=38, seed=seed)
    np.testing.assert_allclose(top5.values, true[::-1][:5], rtol=1e-6)
    assert top5.converged.all()
    top1 = dk.hessian_eigenvalues(obj, 1, tol=1e-3, seed=seed)
    assert top1.num_hvps <= 20
    gap = true[-1] - true[-2]
    assert abs(top1.values[0] - true[-1]) <= top1.residuals[0] ** 2 / gap + top1.rounding  # Kato and Temple
    lowest = dk.hessian_eigenvalues(obj, 1, which="smallest", seed=seed)
    assert lowest.num_hvps <= 64
    assert abs(lowest.values[0] - true[0]) <= 1e-3 * true[-1]
    assert np.abs(true - lowest.values[0]).min() <= lowest.residuals[0]


def test_table_and_text():
    pairs = dk.hessian_eigenvalues(CASES["Rosenbrock"].objective(), 2)
    assert pairs.to_frame().shape == (2, 3)
    assert "num_hvps" in repr(pairs)
