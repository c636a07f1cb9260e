"""Eigenvalue, trace, relative flatness against dense Hessians; layers before a normalization; arguments."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.measure.sharpness.relative_flatness import relative_flatness, weight_layers
from oracles import digits_objective, randn

QUICK = {"num_hvps": 8, "num_random": 1, "steps": 2}


def small_net(norm=None, seed=0, **options):
    """4-5-3-2 in float64 with tanh, P = 51 without a normalization."""
    torch.manual_seed(seed)
    norms = [] if norm is None else [norm]
    layers = nn.Linear(4, 5), *norms, nn.Tanh(), nn.Linear(5, 3), nn.Tanh(), nn.Linear(3, 2)
    data = randn(30, 4, seed=seed), torch.arange(30) % 2
    return dk.Objective(nn.Sequential(*layers).double(), nn.CrossEntropyLoss(), data, **options)


def dense_kappa(obj, start, rows, columns):
    """sum over s, s' of <w_s, w_s'> tr H_{s,s'}, as written."""
    stop = start + rows * columns
    W = obj.theta[start:stop].view(rows, columns)
    H = obj.hessian()[start:stop, start:stop].view(rows, columns, rows, columns)
    return sum(
        float(W[s] @ W[r]) * float(torch.trace(H[s, :, r, :])) for s in range(rows) for r in range(rows)
    )


def test_eigenvalue_and_trace_are_those_of_the_dense_hessian():
    obj = small_net()
    H = obj.hessian()
    found = dk.sharpness(obj, num_hvps=100)
    assert abs(found.lambda_max - float(torch.linalg.eigvalsh(H)[-1])) <= found.lambda_max.error
    assert found.lambda_max.kind == "interval"
    assert found.trace == pytest.approx(float(H.trace()), rel=1e-10)
    assert found.trace.kind == "sem"
    assert found.trace.error < 1e-10, "P products are the whole diagonal"


def test_relative_flatness_is_its_definition():
    obj = small_net()
    exact = np.array([dense_kappa(obj, 0, 5, 4), dense_kappa(obj, 25, 3, 5), dense_kappa(obj, 43, 2, 3)])
    layers = weight_layers(obj)
    assert [layer.name for layer in layers] == ["0.weight", "2.weight", "4.weight"]
    found = [relative_flatness(obj, layers, num_hvps=40, seed=seed) for seed in range(30)]
    layers = np.array([one.samples.mean for one in found])
    sems = np.array([one.samples.sem for one in found])
    assert (np.abs(layers.mean(0) - exact) <= 4 * layers.std(0) / 30**0.5).all(), "unbiased"
    assert ((np.abs(layers - exact) <= 2 * sems).mean(0) >= 0.8).all(), "the error covers it"
    np.testing.assert_allclose([one.total for one in found], layers.sum(1))
    whole = dk.sharpness(obj, **(QUICK | {"num_hvps": 40}))
    np.testing.assert_array_equal(whole.layer_flatness, layers[0])
    assert whole.relative_flatness == found[0].total


def test_relative_flatness_of_a_convolution_counts_filters():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 2), nn.Flatten(), nn.Linear(8, 2)).double()
    obj = dk.Objective(net, nn.CrossEntropyLoss(), (randn(12, 1, 3, 3), torch.arange(12) % 2))
    found = relative_flatness(obj, weight_layers(obj), num_hvps=1000, seed=0).samples
    exact = dense_kappa(obj, 0, 2, 4)
    assert abs(found.mean[0] - exact) <= 4 * found.sem[0]
    assert found.sem[0] < 0.1 * exact


def test_a_model_without_weights_of_two_dimensions_has_none():
    net = nn.LayerNorm(3).double()
    found = dk.sharpness(dk.Objective(net, nn.MSELoss(), (randn(9, 3), randn(9, 3))), **QUICK)
    assert found.relative_flatness == 0.0
    assert found.layers == found.normalized.names == ()


NORMS = {
    "batch": lambda: nn.BatchNorm1d(5),
    "layer": lambda: nn.LayerNorm(5),
    "group": lambda: nn.GroupNorm(1, 5),
}


@pytest.mark.parametrize("kind", NORMS)
def test_curvature_before_a_normalization_is_given_free_of_scale(kind):
    obj = small_net(NORMS[kind](), norm_stats="batch")
    found = dk.sharpness(obj, **QUICK, tol=1e-6)
    assert found.normalized.names == ("0.weight",)
    block = obj.hessian()[:20, :20]
    exact = float(obj.theta[:20].square().sum() * torch.linalg.eigvalsh(block)[-1])
    assert found.normalized.largest == pytest.approx(exact, rel=1e-5)
    assert "||w||^2 lambda_max" in repr(found)


def test_running_statistics_do_not_follow_the_weights():
    obj = small_net(nn.BatchNorm1d(5), norm_stats="running")
    assert dk.sharpness(obj, **QUICK).normalized.names == ()


def test_batches_make_no_difference():
    X, y = randn(30, 4), torch.arange(30) % 2
    net = small_net().model
    whole = dk.sharpness(dk.Objective(net, nn.CrossEntropyLoss(), (X, y)), **QUICK)
    parts = [(X[:7], y[:7]), (X[7:20], y[7:20]), (X[20:], y[20:])]
    cut = dk.sharpness(dk.Objective(net, nn.CrossEntropyLoss(), parts), **QUICK)
    for name, one in whole.measures.items():
        assert one == pytest.approx(cut.measures[name], rel=1e-6), name


@pytest.mark.gpu
def test_values_on_the_gpu_equal_those_on_the_cpu():
    there = digits_objective()
    model, (batch,) = there.model, there.batches
    gpu = dk.Objective(copy.deepcopy(model).to("cuda"), nn.CrossEntropyLoss(), batch.payload)
    for subspace in (None, 20):
        a, b = (dk.sharpness(obj, subspace=subspace, **QUICK) for obj in (there, gpu))
        for name, one in a.measures.items():
            assert b.measures[name] == pytest.approx(one, rel=1e-5), name
    found = dk.sharpness_invariance(gpu, **QUICK)
    assert found.verdicts[-2:] == ("survives", "survives")


def test_a_block_of_the_parameters():
    obj = small_net(params=["2"])
    found = dk.sharpness(obj, **QUICK)
    assert found.layers == ("2.weight",)
    exact = float(torch.linalg.eigvalsh(obj.hessian())[-1])
    assert abs(found.lambda_max - exact) <= found.lambda_max.error


def test_price_and_seed():
    obj = digits_objective(torch.float32)
    meter = obj.meter
    before = meter.num_hvps, meter.num_evals, meter.num_gradients
    found = dk.sharpness(obj, **QUICK, seed=4)
    spent = np.array([meter.num_hvps, meter.num_evals, meter.num_gradients]) - before
    assert (found.num_hvps, found.num_evals, found.num_gradients) == tuple(spent)
    of_measures = sum(one.num_passes for one in found.measures.values())
    around = 7  # the loss, its gradient and its rounding, before all measures
    assert of_measures + found.normalized.num_passes + around == spent.sum()
    again = dk.sharpness(obj, **QUICK, seed=4)
    assert repr(again) == repr(found)
    assert list(again.measures.values()) == list(found.measures.values())
    assert found.seed == 4


def test_numbers_can_be_used_as_numbers():
    found = dk.sharpness(small_net(), **QUICK)
    assert float(np.log(found.lambda_max)) == np.log(found.lambda_max.value)
    again = pickle.loads(pickle.dumps(found.sam))
    assert again == found.sam
    assert (again.kind, again.searches) == (found.sam.kind, found.sam.searches)
    frame = found.to_frame()
    assert list(frame.index) == ["lambda_max", "trace", "keskar", "sam", "adaptive", "relative_flatness"]
    assert frame.loc["sam", "value"] == found.sam
    assert frame.loc["sam", "kind"] == "lower bound"
    assert "searches agree within" in repr(found)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"eps": 0.0}, r"eps = 0\.0"),
        ({"rho": -1}, "rho = -1"),
        ({"rho_adaptive": float("nan")}, "rho_adaptive = nan"),
        ({"offset": -0.1}, r"offset = -0\.1"),
        ({"tol": 0}, "tol = 0"),
        ({"num_random": 0}, "num_random = 0"),
        ({"steps": 1.5}, r"steps = 1\.5"),
        ({"num_hvps": 2}, "num_hvps = 2"),
        ({"subspace": 0}, "subspace = 0"),
        ({"subspace": 52}, "subspace = 52; allowed: at most P = 51"),
        ({"seed": -1}, "seed = -1"),
    ],
)
def test_refused_in_words(options, words):
    with pytest.raises(dk.InputError, match=words):
        dk.sharpness(small_net(), **options)


def test_a_model_is_no_objective():
    with pytest.raises(dk.InputError, match="a Linear"):
        dk.sharpness(nn.Linear(2, 1))
