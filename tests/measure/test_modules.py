"""Diagonal blocks of real Hessians against the blocks of dense ones."""

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.work import watching
from oracles import digits_objective, least_squares, randn, tanh_net_on_digits


def nested(dtype=torch.float64):
    """P = 60 in three modules, the first nested; double, tanh."""
    torch.manual_seed(3)
    inner = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 4), nn.Tanh())
    net = nn.Sequential(inner, nn.Linear(4, 2)).to(dtype)
    data = randn(30, 4).to(dtype), torch.arange(30) % 2
    return dk.Objective(net, nn.CrossEntropyLoss(), data)


CUTS = {None: {"0.0": 25, "0.2": 24, "1": 10}, 1: {"0": 49, "1": 10}, 2: {"0.0": 25, "0.2": 24, "1": 10}}


@pytest.mark.parametrize("depth", CUTS)
def test_exactly(depth):
    obj, cut = nested(), CUTS[depth]
    H = obj.hessian().numpy()
    found = dk.hessian_by_module(obj, depth=depth, k=3, tol=1e-9)
    assert found.names == tuple(cut)
    assert found.num_params.tolist() == list(cut.values())
    assert found.exact
    start = 0
    for row, size in enumerate(cut.values()):
        block = H[start : start + size, start : start + size]
        start += size
        np.testing.assert_allclose(found.eigenvalues[row], np.linalg.eigvalsh(block)[::-1][:3], atol=1e-8)
        assert found.traces[row] == pytest.approx(np.trace(block), abs=1e-10)
        assert found.shares[row] == pytest.approx(np.trace(block) / np.trace(H), abs=1e-10)
    assert found.converged.all()
    assert found.trace == pytest.approx(np.trace(H), abs=1e-10)
    assert found.shares.sum() == pytest.approx(1.0)
    assert (found.trace_sems < 1e-12).all()


def test_sampled_traces_cover_their_truth():
    obj = nested()
    diagonal = obj.hessian().diagonal().numpy()
    exact = np.array([diagonal[:25].sum(), diagonal[25:49].sum(), diagonal[49:].sum()])
    found = [dk.hessian_by_module(obj, num_hvps=20, max_hvps=1, seed=seed) for seed in range(50)]
    traces = np.array([one.traces for one in found]) - exact
    inside = np.abs(traces) <= 2 * np.array([one.trace_sems for one in found])
    assert (inside.mean(axis=0) >= 0.83).all()
    assert (np.abs(traces.mean(axis=0)) <= 4 * traces.std(axis=0) / 50**0.5).all()
    shares = np.array([one.shares for one in found]) - exact / exact.sum()
    inside = np.abs(shares) <= 2 * np.array([one.share_sems for one in found])
    assert (inside.mean(axis=0) >= 0.8).all()
    assert all(one.traces.sum() == pytest.approx(one.trace) for one in found)
    assert not any(one.exact for one in found)


def test_eigenvalues_of_a_network_lie_within_their_residuals():
    obj = digits_objective()
    found = dk.hessian_by_module(obj, num_hvps=8)
    assert found.names == ("0", "2")
    for row, name in enumerate(found.names):
        alone = dk.hessian_eigenvalues(digits_objective(params=name), 1, tol=1e-8).values[0]
        assert abs(found.lambda_max[row] - alone) <= found.residuals[row, 0]
        assert found.residuals[row, 0] <= 1.1e-2 * alone
    whole = dk.hessian_eigenvalues(obj, 1).values[0]
    assert found.lambda_max.max() <= whole, "a block's largest is not above that of the whole"


def test_no_shares_of_a_trace_near_zero():
    found = dk.hessian_by_module(tanh_net_on_digits(2).objective(), num_hvps=20)
    assert np.isnan(found.shares).all()
    assert np.isnan(found.share_sems).all()
    np.testing.assert_allclose(found.lambda_max, 0.0, atol=1e-12)


def test_parameters_of_the_model_itself():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.token = nn.Parameter(torch.ones(3))
            self.layer = nn.Linear(3, 1)

        def forward(self, x):
            return self.layer(x * self.token)

    obj = dk.Objective(Own(), nn.MSELoss(), (randn(8, 3).float(), randn(8, 1).float()))
    assert dk.hessian_by_module(obj, k=2).names == ("token", "layer")


def test_more_eigenvalues_than_a_block_has():
    found = dk.hessian_by_module(nested(), depth=1, k=12)
    assert np.isnan(found.eigenvalues[1, 10:]).all()
    assert np.isfinite(found.eigenvalues[0]).all()


def test_table_and_price():
    obj = nested()
    before = obj.meter.num_hvps
    found = dk.hessian_by_module(obj, k=2, seed=4)
    assert found.num_hvps == obj.meter.num_hvps - before
    frame = found.to_frame()
    assert list(frame.index) == ["0.0", "0.2", "1"]
    eigenvalues = ["lambda_max", "residual", "lambda_2", "residual_2"]
    assert list(frame.columns) == ["num_params", *eigenvalues, "trace", "trace_sem", "share", "share_sem"]
    assert "largest trace" in repr(found)
    again = dk.hessian_by_module(obj, k=2, seed=4)
    np.testing.assert_array_equal(found.eigenvalues, again.eigenvalues)


def test_out_of_time():
    with watching(budget=0.0):
        found = dk.hessian_by_module(nested())
    assert not found.complete
    assert found.num_hvps == 1
    assert np.isnan(found.lambda_max).all()
    assert not found.converged.any()
    assert np.isinf(found.trace_sems).all()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"depth": 0}, "depth = 0"),
        ({"k": 0}, "k = 0"),
        ({"num_hvps": 2}, "num_hvps = 2"),
        ({"max_hvps": 0}, "max_hvps = 0"),
        ({"tol": -1}, "tol = -1"),
    ],
)
def test_refused_in_words(options, words):
    with pytest.raises(dk.InputError, match=words):
        dk.hessian_by_module(least_squares().objective(), **options)
