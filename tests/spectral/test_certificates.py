from itertools import pairwise

import numpy as np
import pytest
import torch

from diagkit.spectral import lanczos, missed_below, products_needed
from oracles import symmetric_matrix


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


def test_lanczos_keeps_the_promise():
    """Of 60 random starts at most a few may miss more than the bound at probability 0.1."""
    values = np.r_[0.0, np.linspace(0.4, 1.0, 299)]
    H = symmetric_matrix(values)
    k, misses = 12, 0
    for seed in range(60):
        found = lanczos(lambda v: H @ v, 300, num_lowest=1, tol=1e-14, max_products=k, seed=seed)
        misses += found.lowest.values[0] > missed_below(k, 300, 0.1) * 1.0
    assert misses <= 12


def test_hard_spectrum_needs_more_than_a_few_products():
    """The chance of a miss is real: the smallest value of an even spectrum is not found in 5 products."""
    H = torch.diag(torch.linspace(0, 1, 2000, dtype=torch.float64))
    found = lanczos(lambda v: H @ v, 2000, num_lowest=1, max_products=5)
    assert 1e-3 < found.lowest.values[0] < missed_below(5, 2000)
    assert not found.lowest.converged[0]
