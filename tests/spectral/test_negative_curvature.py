"""Proofs are true, exclusions fail no more often than stated: by simulation on spectra that are hard."""

import numpy as np
import pytest
import torch
from scipy.stats import binom

from diagkit.spectral import Recurrence, lanczos, negative_curvature, products_needed
from diagkit.work import watching
from oracles import symmetric_matrix

N, STARTS, FAILURE, EPS = 300, 200, 0.2, 0.05
ALLOWED = binom.ppf(0.999, STARTS, FAILURE)
CHEBYSHEV = (1 - np.cos(np.pi * (np.arange(N) + 0.5) / N)) / 2
BELOW = {  # one eigenvalue below -EPS, seen through its component in the start alone
    "apart": np.r_[-0.1, np.linspace(0.3, 1, N - 1)],
    "at the edge": np.r_[-0.06, np.linspace(0, 1, N - 1)],
    "beside an outlier": np.r_[-0.06, np.linspace(0, 0.2, N - 2), 50.0],
    "two near each other": np.r_[-0.06, -0.0599, np.linspace(0, 1, N - 2)],
}
NONE_BELOW = {
    "dense at the ends": CHEBYSHEV,
    "even": np.linspace(0, 1, N),
    "of low rank": np.r_[np.zeros(N - 20), np.linspace(0.5, 1, 20)],
}
DTYPES = pytest.mark.parametrize("dtype", [torch.float64, torch.float32])


def search(values, seed=0, dtype=torch.float64, eps=EPS, failure=FAILURE, **options):
    d = torch.as_tensor(np.asarray(values), dtype=dtype)
    return negative_curvature(
        lambda v: d * v.to(dtype),
        len(values),
        eps,
        dtype=dtype,
        seed=seed,
        failure_probability=failure,
        **options,
    )


@pytest.mark.parametrize(
    ("name", "dtype"), [*((name, torch.float64) for name in BELOW), ("beside an outlier", torch.float32)]
)
def test_wrong_no_more_often_than_stated(name, dtype):
    values = BELOW[name]
    runs = [search(values, seed, dtype) for seed in range(STARTS)]
    wrong = sum(run.excluded for run in runs)
    # The stronger promise: on one event the bounds after *all* products hold.
    violated = sum(bool((run.bounds > values.min()).any()) for run in runs)
    assert wrong <= violated <= ALLOWED
    assert all(run.proven != run.excluded for run in runs)
    assert all(abs(run.vector.norm() - 1) < 1e-12 and run.value < -EPS for run in runs if run.proven)


def test_the_simulation_can_fail():
    """Some starts do miss at this probability: a bound with a tenth of the confidence would be caught."""
    runs = [search(BELOW["apart"], seed, failure=0.9) for seed in range(STARTS)]
    assert sum(run.excluded for run in runs) > ALLOWED


def test_seldom_means_seldom():
    runs = [search(BELOW["apart"], seed, failure=0.01) for seed in range(STARTS)]
    assert sum(run.excluded for run in runs) <= binom.ppf(0.999, STARTS, 0.01)


@DTYPES
@pytest.mark.parametrize("name", NONE_BELOW)
def test_nothing_is_proven_where_nothing_is(name, dtype):
    for seed in range(10):
        run = search(NONE_BELOW[name], seed, dtype)
        assert run.excluded
        assert not run.proven
        assert len(run.bounds) <= products_needed(EPS, N, FAILURE), "theory promises the answer by then"


def test_a_bound_that_was_wrong_is_withdrawn():
    runs = [search(BELOW["apart"], seed, failure=0.5) for seed in range(50)]
    fooled = [run for run in runs if run.proven and (run.bounds > -0.1).any()]
    assert fooled
    for run in runs:
        assert run.bounds[-1] <= run.value


def test_both_curves_only_improve():
    run = search(CHEBYSHEV, eps=1e-3)
    assert (np.diff(run.bounds) >= 0).all()
    assert (np.diff(run.lowest) <= 1e-14).all()
    assert (run.bounds <= run.lowest).all()


def test_rounding_hides_small_curvature():
    d = np.r_[np.zeros(100), np.linspace(0.5, 1, 200)]
    run = search(d, dtype=torch.float32, eps=1e-9)
    assert not run.proven
    assert not run.excluded
    assert len(run.bounds) < N / 2, "more products would not help"


def test_a_space_that_closes_and_a_whole_one():
    three = search(np.r_[[0.0] * 100, [1.0] * 100, [2.0] * 100])
    assert three.excluded
    assert len(three.bounds) == 3
    whole = search([0.0, 1.0, 2.0], eps=1e-6)
    assert whole.whole
    assert whole.bounds[-1] == pytest.approx(0.0, abs=1e-12)
    nothing = search(np.zeros(50), eps=1e-30)
    assert nothing.excluded


def test_out_of_time_and_out_of_products():
    with watching(budget=0.0):
        run = search(CHEBYSHEV)
    assert not run.complete
    assert len(run.bounds) == 1
    run = search(CHEBYSHEV, max_products=3)
    assert run.complete
    assert len(run.bounds) == 3
    assert not run.excluded


def test_products_that_are_not_symmetric_prove_nothing():
    H = symmetric_matrix(np.r_[-1.0, np.linspace(0, 1, 49)])
    H[0, 1] += 1e-6
    run = negative_curvature(lambda v: H @ v, 50, 0.1)
    assert not run.proven
    assert not run.excluded
    assert not run.recurrence.is_symmetric


# -- the recurrence as an observer of the eigenvalue solver --------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_bounds_from_watching_lanczos(seed):
    values = np.sort(np.random.default_rng(seed).standard_normal(150))
    H = symmetric_matrix(values)
    seen = Recurrence(150, torch.float64)

    def matvec(v):
        seen.observe(v, H @ v)
        return H @ v

    ends = lanczos(matvec, 150, num_lowest=1, num_highest=1, tol=1e-3, seed=seed)
    low, high = seen.lower_bound(1e-3), seen.upper_bound(1e-3)
    assert low <= values[0] + 1e-12 <= ends.lowest.values[0] + 2e-12
    assert ends.highest.values[0] <= values[-1] + 1e-12 <= high + 2e-12
    assert ends.lowest.values[0] - low < 0.1 * (values[-1] - values[0])
    np.testing.assert_allclose(seen.ritz_values()[[0, -1]], [ends.lowest.values[0], ends.highest.values[0]])


def test_a_second_start_is_not_taken_for_the_recurrence():
    """Copies of eigenvalues are found from fresh starts: those products say nothing about what is missed."""
    values = np.r_[[5.0] * 3, [-4.0] * 3, np.zeros(84)]
    H, seen, count = torch.diag(torch.as_tensor(values)), Recurrence(90, torch.float64), 0

    def matvec(v):
        nonlocal count
        count += 1
        seen.observe(v, H @ v)
        return H @ v

    lanczos(matvec, 90, num_highest=3)
    assert seen.num_products == 3 < count
    assert seen.upper_bound(0.01) == pytest.approx(5.0, abs=1e-9)
    assert seen.is_symmetric


def test_a_compressed_basis_ends_the_recurrence():
    """After a thick restart the next vector is orthogonal to Ritz vectors, not to all that came before."""
    d = torch.as_tensor(BELOW["at the edge"])
    seen, basis = Recurrence(N, torch.float64), torch.empty(0, N, dtype=torch.float64)
    v = torch.linspace(1, 2, N, dtype=torch.float64).sin()
    for step in range(20):
        v = v / v.norm()
        seen.observe(v, d * v)
        basis = torch.cat([basis, v[None]])
        if step == 9:
            basis = torch.linalg.eigh(basis @ (d * basis).T)[1][:, :3].T @ basis
        for _ in range(2):
            v = d * v if _ == 0 else v
            v = v - basis.T @ (basis @ v)
    assert seen.num_products in (10, 11)
    assert seen.is_symmetric


def test_what_is_shown_may_be_changed_afterwards():
    d = torch.linspace(-1, 1, 20, dtype=torch.float64)
    v = torch.ones(20, dtype=torch.float64) / 20**0.5
    seen, product = Recurrence(20, torch.float64), d * v
    seen.observe(v, product)
    w = product / product.norm()
    product.zero_()
    v.zero_()
    seen.observe(w, d * w)
    assert seen.num_products == 2
