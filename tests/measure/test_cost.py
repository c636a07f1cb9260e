"""What eigenvalues will cost, against what they then do cost."""

import pytest
import torch
from torch import nn

import diagkit as dk
from oracles import digits_objective


def test_the_estimate_costs_two_products_and_says_so():
    obj = digits_objective()
    cost = dk.estimate_cost(obj, 5)
    assert cost.num_hvps == obj.meter.num_hvps == 2


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("k", [1, 5, 10])
def test_products_lie_in_the_range(k, seed):
    obj = digits_objective(torch.float32)
    low, high = dk.estimate_cost(obj, k).products
    assert low <= dk.hessian_eigenvalues(obj, k, seed=seed).num_hvps <= high


def test_memory_follows_the_budget():
    small, large = (digits_objective(memory_budget=m, batch_size=100) for m in (1e5, 1e9))
    tight, free = dk.estimate_cost(small, 5), dk.estimate_cost(large, 5)
    assert tight.graph_bytes <= 1e5 < free.graph_bytes
    assert tight.basis_rows == 9 < free.basis_rows  # five vectors and four to search with
    assert free.basis_bytes == 8 * 1210 * free.products[1]
    assert tight.basis_bytes == 8 * 1210 * 9


def test_a_bounded_basis_reaches_the_same_eigenvalues():
    free = dk.hessian_eigenvalues(digits_objective(), 3)
    tight = dk.hessian_eigenvalues(digits_objective(memory_budget=16 * 1210 * 10), 3)
    assert tight.converged.all()
    assert abs(tight.values - free.values).max() <= (free.residuals + tight.residuals).max()


@pytest.mark.parametrize("k", [0, -1, 2.5])
def test_a_wrong_count_is_named(k):
    obj = dk.Objective(nn.Linear(2, 1), nn.MSELoss(), (torch.ones(4, 2), torch.ones(4, 1)))
    with pytest.raises(dk.InputError, match="k ="):
        dk.estimate_cost(obj, k)
