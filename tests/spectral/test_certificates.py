import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import binom

import diagkit as dk
from diagkit.spectral import lanczos, missed_below, products_needed, smallest_share


@pytest.mark.parametrize("size", [10, 1000, 10**6])
@pytest.mark.parametrize("eps", [0.3, 0.01, 1e-4])
def test_the_two_functions_are_inverse(size, eps):
    k = products_needed(eps, size)
    assert missed_below(k, size) <= eps
    assert k <= size
    if k > 1:
        assert missed_below(k - 1, size) > eps


def test_bound_tightens_with_products_and_confidence():
    values = [missed_below(k, 5000) for k in range(1, 200)]
    assert all(a >= b for a, b in pairwise(values))
    assert missed_below(50, 5000, 1e-6) > missed_below(50, 5000, 0.01)
    assert missed_below(0, 5000) == 1.0
    assert missed_below(5000, 5000) == 0.0


@pytest.mark.parametrize("size", [5, 100, 10**4, 10**7])
@pytest.mark.parametrize("failure", [0.2, 0.01, 1e-6])
def test_never_weaker_than_the_published_form(size, failure):
    """1.648 sqrt(n) exp(-sqrt(eps) (2k - 1)) <= delta, Kuczynski and Wozniakowski 1992, theorem 4.2."""
    for k in (1, 3, 20, 100):
        published = (math.log(1.648 * math.sqrt(size) / failure) / (2 * k - 1)) ** 2
        assert missed_below(k, size, failure) <= published
        assert k >= size or published > 1 or missed_below(k, size, failure) > 0.5 * published


@pytest.mark.parametrize("size", [2, 3, 50])
def test_share_of_a_random_vector(size):
    """How often a random unit vector falls short of tau, against the binomial."""
    vectors = np.random.default_rng(0).standard_normal((4000, size))
    share = np.abs(vectors[:, 0]) / np.linalg.norm(vectors, axis=1)
    short = int((share < smallest_share(size, 0.1)).sum())
    low, high = binom.ppf([0.0005, 0.9995], 4000, 0.1)
    assert low <= short <= high


def test_lanczos_keeps_the_promise():
    """Of 200 random starts no more may miss the bound than probability 0.1 allows, but for chance."""
    values = np.r_[0.0, np.linspace(0.4, 1.0, 299)]
    d = torch.as_tensor(values)
    k, misses = 5, 0
    for seed in range(200):
        found = lanczos(lambda v: d * v, 300, num_lowest=1, tol=1e-14, max_products=k, seed=seed)
        misses += found.lowest.values[0] > missed_below(k, 300, 0.1) * 1.0
    assert 0 < misses <= binom.ppf(0.999, 200, 0.1), "none missed: the spectrum is too easy for a test"


def test_hard_spectrum_needs_more_than_a_few_products():
    """The chance of a miss is real: the smallest value of an even spectrum is not found in 5 products."""
    H = torch.diag(torch.linspace(0, 1, 2000, dtype=torch.float64))
    found = lanczos(lambda v: H @ v, 2000, num_lowest=1, max_products=5)
    assert 1e-3 < found.lowest.values[0] < missed_below(5, 2000)
    assert not found.lowest.converged[0]


@pytest.mark.parametrize("failure", [0.0, 1.0, -0.1, float("nan")])
def test_no_such_probability(failure):
    with pytest.raises(dk.InputError, match="between 0 and 1"):
        dk.products_needed(0.1, 10, failure)


@pytest.mark.parametrize("eps", [0.0, -1.0, float("nan")])
def test_no_such_fraction(eps):
    with pytest.raises(dk.InputError, match="fraction of the spread"):
        dk.products_needed(eps, 10)
