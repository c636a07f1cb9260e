"""Trace estimators: unbiased, with errors that tell the truth, also where these decide when to stop."""

import numpy as np
import pytest
import torch

from diagkit.spectral import XTrace, diagonal, hutchinson, sample
from diagkit.work import watching
from oracles import digits_objective, randn, symmetric_matrix

METHODS = {"hutchinson": hutchinson, "xtrace": XTrace, "diagonal": diagonal}
KINDS = pytest.mark.parametrize("kind", METHODS)


def products_with(H):
    return lambda v: H.to(v.dtype) @ v


def estimates(kind, H, limit, seeds, tol=None):
    """value - tr H, sem, products: [seeds] each."""
    found = []
    for seed in seeds:
        estimator = METHODS[kind](products_with(H), len(H), seed=seed)
        assert sample(estimator, limit, tol)
        one = estimator.estimate()
        assert one.value == pytest.approx(one.samples.mean(), rel=1e-12)
        found.append((one.value - float(H.trace()), one.sem, estimator.num_products))
    return np.array(found).T


SPECTRA = {
    "flat": np.r_[np.ones(60), -0.5 * np.ones(40)],
    "few large": np.r_[[50.0, 20.0, -10.0], np.linspace(-0.2, 0.3, 97)],
    "geometric": 0.8 ** np.arange(100.0),
}


@KINDS
@pytest.mark.parametrize("name", SPECTRA)
def test_unbiased(kind, name):
    errors, sems, _ = estimates(kind, symmetric_matrix(SPECTRA[name]), 30, range(200))
    assert abs(errors.mean()) < 4 * errors.std() / 200**0.5, "four standard errors: 6e-5 by chance"
    assert (np.abs(errors) <= 2 * sems).mean() >= 0.89, "95 % less three standard errors of the frequency"


@pytest.mark.parametrize("name", SPECTRA)
def test_standard_error_of_hutchinson_is_its_spread(name):
    H = symmetric_matrix(SPECTRA[name])
    errors, sems, _ = estimates("hutchinson", H, 30, range(200))
    exact = (2 * (H.square().sum() - H.diagonal().square().sum()) / 30) ** 0.5
    assert errors.std() == pytest.approx(float(exact), rel=0.15)
    assert (sems**2).mean() == pytest.approx(float(exact) ** 2, rel=0.15)


@pytest.mark.parametrize("name", SPECTRA)
def test_xtrace_never_claims_less_than_its_spread(name):
    """Efron and Stein: the jackknife is too large on average, not too small."""
    errors, sems, _ = estimates("xtrace", symmetric_matrix(SPECTRA[name]), 20, range(200))
    assert (errors**2).mean() <= 1.2 * (sems**2).mean()
    assert sems.mean() <= 5 * errors.std()


def direct_xtrace(H, omegas):
    """t_i as the definition has it, with a basis for each i."""
    found = []
    for i, omega in enumerate(omegas):
        others = [H @ other for j, other in enumerate(omegas) if j != i]
        Q = torch.linalg.qr(torch.stack(others, dim=1))[0]
        u = omega - Q @ (Q.T @ omega)
        rest = (len(H) - Q.shape[1]) * (u @ H @ u) / (u @ u)
        found.append(float((Q.T @ H @ Q).trace() + rest))
    return np.array(found)


@pytest.mark.parametrize("name", SPECTRA)
def test_xtrace_is_its_definition(name):
    H = symmetric_matrix(SPECTRA[name])
    estimator = XTrace(products_with(H), 100, seed=1)
    sample(estimator, 12)
    samples = direct_xtrace(H, estimator.tests)
    np.testing.assert_allclose(estimator.estimate().samples, samples, rtol=1e-10)
    without = [direct_xtrace(H, estimator.tests[:j] + estimator.tests[j + 1 :]).mean() for j in range(6)]
    jackknife = (5 / 6 * ((without - np.mean(without)) ** 2).sum()) ** 0.5
    assert estimator.estimate().sem == pytest.approx(jackknife, rel=1e-8)


@pytest.mark.parametrize("rank", [0, 1, 3, 10])
def test_xtrace_is_exact_at_low_rank(rank):
    values = np.r_[np.linspace(5, 1, rank), np.zeros(80 - rank)]
    estimator = XTrace(products_with(symmetric_matrix(values)), 80)
    assert sample(estimator, 60)
    found = estimator.estimate()
    assert estimator.num_products == 2 * rank + 1
    assert found.exact
    assert found.value == pytest.approx(values.sum(), abs=1e-10)
    assert found.sem < 1e-9


@pytest.mark.parametrize("rank", [1, 5])
def test_low_rank_in_float32_is_known_to_rounding(rank):
    H = symmetric_matrix(np.r_[np.linspace(5, 1, rank), np.zeros(80 - rank)]).float()
    estimator = XTrace(lambda v: H @ v.float(), 80, dtype=torch.float32)
    sample(estimator, 40)
    found = estimator.estimate()
    assert abs(found.value - float(H.double().trace())) <= 4 * found.sem
    assert found.sem < 1e-2


def test_diagonal_is_exact_at_its_end_and_fair_before():
    H = symmetric_matrix(SPECTRA["few large"])
    estimator = diagonal(products_with(H), 100)
    sample(estimator, 1000)
    found = estimator.estimate()
    assert estimator.num_products == 100
    assert found.exact
    assert abs(found.value - float(H.trace())) <= found.sem < 1e-11
    half = diagonal(products_with(H), 100)
    sample(half, 50)
    assert not half.estimate().exact
    assert half.estimate().sem > 1e-3


def test_traces_of_blocks_come_from_the_same_products():
    H, cut = symmetric_matrix(SPECTRA["few large"]), [10, 1, 60, 29]
    exact = np.array([float(part.sum()) for part in H.diagonal().split(cut)])
    rows = []
    for seed in range(100):
        estimator = hutchinson(products_with(H), 100, cut=cut, seed=seed)
        sample(estimator, 30)
        samples = estimator.samples()
        assert samples.values.shape == (30, 4)
        assert estimator.estimate().value == pytest.approx(samples.mean.sum(), rel=1e-12)
        rows.append((samples.mean - exact, samples.sem))
    errors, sems = np.array(rows).transpose(1, 0, 2)
    assert (np.abs(errors.mean(axis=0)) < 4 * errors.std(axis=0) / 10).all()
    assert ((np.abs(errors) <= 2 * sems).mean(axis=0) >= 0.87).all()
    whole = diagonal(products_with(H), 100, cut=cut)
    sample(whole, 100)
    np.testing.assert_allclose(whole.samples().mean, exact, atol=1e-12)


@pytest.fixture(scope="module")
def real():
    """The Hessian of the last layer of a trained network, P = 170, in its own coordinates."""
    return digits_objective(params="2").hessian()


@pytest.mark.parametrize("kind", ["hutchinson", "xtrace"])
@pytest.mark.parametrize("tol", [0.2, 0.05])
def test_a_tolerance_keeps_its_promise(kind, tol, real):
    """The stop depends on the samples; what is reported must be true all the same."""
    runs, trace = 150, float(real.trace())
    errors, sems, products = estimates(kind, real, 2000, range(runs), tol)
    assert (sems <= tol * np.abs(trace + errors) * 1.0001).all()
    assert (np.abs(errors) <= 2 * sems).mean() >= 0.88
    assert (np.abs(errors) <= 2 * tol * trace).mean() >= 0.88
    assert abs(errors.mean()) <= 0.15 * tol * trace, "stopping by the error hardly biases the value"
    assert products.min() >= 20


def test_a_tolerance_that_cannot_be_met_ends_at_the_limit():
    H = symmetric_matrix(np.r_[np.ones(50), -np.ones(50)])  # tr H = 0
    estimator = hutchinson(products_with(H), 100)
    assert sample(estimator, 150, tol=0.01)
    assert estimator.num_products == 150


@KINDS
def test_same_seed_same_answer(kind):
    H = symmetric_matrix(SPECTRA["few large"])
    first, again, other = (estimates(kind, H, 20, [seed]) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert first[0] != other[0]


@KINDS
def test_out_of_time(kind):
    """One sample, of unknown error."""
    H = symmetric_matrix(SPECTRA["flat"])
    with watching(budget=0.0):
        estimator = METHODS[kind](products_with(H), 100)
        assert not sample(estimator, 50)
    found = estimator.estimate()
    assert estimator.num_products == estimator.cost
    assert found.sem == float("inf")
    assert np.isfinite(found.value)


@KINDS
def test_size_one(kind):
    estimator = METHODS[kind](lambda v: -3.0 * v, 1)
    sample(estimator, 10)
    assert estimator.estimate().value == pytest.approx(-3.0, abs=1e-12)


def test_products_need_not_be_in_float64():
    H = randn(40, 40)
    H = (H + H.T).float()
    for kind in METHODS:
        estimator = METHODS[kind](lambda v: (H @ v.float()).double(), 40, dtype=torch.float32)
        sample(estimator, 40)
        assert abs(estimator.estimate().value - float(H.double().trace())) <= 4 * estimator.estimate().sem
