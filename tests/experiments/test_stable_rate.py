import copy

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk


def half_square(outputs, targets):
    return ((outputs - targets) ** 2).mean() / 2


def quadratic(eigenvalues, start):
    """L = (1/2) sum_i lambda_i w_i^2 at ``start``: a Linear without bias on inputs sqrt(d lambda_i) e_i."""
    values = torch.tensor(eigenvalues, dtype=torch.float64)
    X = torch.diag((len(values) * values).sqrt())
    model = nn.Linear(len(values), 1, bias=False).double()
    model.weight.data.copy_(torch.tensor(start, dtype=torch.float64)[None])
    return model, (X, torch.zeros(len(values), 1, dtype=torch.float64))


@pytest.mark.parametrize("eigenvalue", [0.1, 30.0])
@pytest.mark.parametrize("first", [0.01, 5.0])
def test_one_dimension_is_exact(eigenvalue, first):
    model, data = quadratic([eigenvalue], [2.0])
    found = dk.largest_stable_rate(model, half_square, data, first=first, steps=8, tol=0.01)
    low, high = found.interval
    assert low <= 2 / eigenvalue * (1 + 1e-9)
    assert high >= 2 / eigenvalue * (1 - 1e-9)
    assert high <= 1.01 * low
    assert found.rate == low


@pytest.mark.parametrize("seed", range(3))
def test_many_dimensions_within_the_bound(seed):
    rng = np.random.default_rng(seed)
    eigenvalues, start = np.sort(rng.uniform(0.1, 5.0, 6))[::-1].copy(), rng.normal(size=6)
    model, data = quadratic(eigenvalues, start)
    steps = 32
    found = dk.largest_stable_rate(model, half_square, data, steps=steps, tol=0.01)
    losses = eigenvalues * start**2 / 2
    factor = (losses.sum() / losses[0]) ** (1 / (2 * (3 * steps // 4)))
    assert found.interval[1] >= 2 / eigenvalues[0] * (1 - 1e-9)
    assert found.interval[0] <= (1 + factor) / eigenvalues[0] * (1 + 1e-9)


def test_heavy_ball_bears_more():
    """(2 + 2 beta) / lambda_max for torch's momentum."""
    model, data = quadratic([2.0], [1.0])

    def heavy_ball(parameters, lr):
        return torch.optim.SGD(parameters, lr=lr, momentum=0.5)

    found = dk.largest_stable_rate(
        model, half_square, data, optimizer=heavy_ball, steps=80, tol=0.01, first=1.0
    )
    assert found.rate == pytest.approx(3 / 2, rel=0.04)


def test_a_batch_sees_what_normalization_does(same_start):
    """Weights before a normalization do not blow up: it bears a larger rate than without."""
    X = 10 * torch.randn(64, 3)
    y = (X[:, 0] > 0).long()
    plain = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    rates = [
        dk.largest_stable_rate(
            dk.with_normalization(plain, kind), nn.CrossEntropyLoss(), (X, y), steps=20, batch_size=16
        ).rate
        for kind in ("none", "batch")
    ]
    assert rates[1] > rates[0] > 0


def test_the_model_stays_and_the_seed_decides():
    model = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    data = torch.randn(20, 2), torch.randn(20, 1)
    before, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    first, second = (
        dk.largest_stable_rate(model, nn.MSELoss(), data, batch_size=5, steps=8, seed=3) for _ in range(2)
    )
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert first.to_frame().equals(second.to_frame())


def test_no_rate_is_too_large():
    """exp(-w) falls at every rate."""
    model = nn.Linear(1, 1, bias=False).double()
    model.weight.data.fill_(0.0)
    X = torch.ones(2, 1, dtype=torch.float64)
    found = dk.largest_stable_rate(model, lambda out, y: (-out).exp().mean(), (X, X), steps=4)
    assert found.interval[1] == np.inf
    assert found.stable.all()


def test_no_rate_is_small_enough():
    """|w| at 0 rises whichever way: the first loss is 0 and none after it is."""
    model = nn.Linear(1, 1, bias=False).double()
    model.weight.data.fill_(0.0)
    X = torch.ones(2, 1, dtype=torch.float64)

    def kink(out, y):
        return torch.maximum(out, -2 * out).mean()

    found = dk.largest_stable_rate(model, kink, (X, X), steps=4)
    assert found.interval[0] == 0.0
    assert not found.stable.any()


def test_out_of_time():
    model, data = quadratic([1.0], [1.0])
    with dk.watching(budget=0.0):
        found = dk.largest_stable_rate(model, half_square, data)
    assert not found.complete
    assert found.interval == (0.0, np.inf)


@pytest.mark.parametrize("change", [{"steps": 3}, {"first": 0.0}, {"tol": -1.0}, {"seed": -1}])
def test_refused(change):
    model, data = quadratic([1.0], [1.0])
    with pytest.raises(dk.InputError, match=next(iter(change))):
        dk.largest_stable_rate(model, half_square, data, **change)


def test_a_first_loss_that_is_no_number():
    model, (X, y) = quadratic([1.0], [1.0])
    with pytest.raises(dk.InputError, match="loss of inf at the start"):
        dk.largest_stable_rate(model, lambda out, target: out.sum() / 0.0, (X, y))
