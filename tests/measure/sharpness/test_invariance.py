"""What survives a change of the weights that leaves the network as it is, against dense Hessians."""

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.measure.sharpness.invariance import _verdict
from diagkit.measure.sharpness.normalized_layers import scaled
from diagkit.measure.sharpness.rescaling import relu_pairs
from diagkit.work import watching
from oracles import digits_objective, randn

QUICK = {"num_hvps": 30, "num_random": 1}


def relu_net(*between, seed=0):
    torch.manual_seed(seed)
    between = between or (nn.ReLU(),)
    net = nn.Sequential(nn.Linear(4, 6), *between, nn.Linear(6, 2)).double()
    return dk.Objective(net, nn.CrossEntropyLoss(), (randn(40, 4, seed=seed), torch.arange(40) % 2))


def normalized_net(norm=None, norm_stats="batch", seed=0):
    torch.manual_seed(seed)
    norm = nn.BatchNorm1d(6, eps=1e-12) if norm is None else norm
    net = nn.Sequential(nn.Linear(4, 6), norm, nn.Tanh(), nn.Linear(6, 2)).double()
    data = randn(40, 4, seed=seed), torch.arange(40) % 2
    return dk.Objective(net, nn.CrossEntropyLoss(), data, norm_stats=norm_stats)


def verdicts(found):
    return dict(zip(found.measures, found.verdicts, strict=True))


def ratio(found, name):
    return found.ratios[found.measures.index(name)]


@pytest.mark.parametrize(("alpha", "seed"), [(10.0, 0), (0.1, 1), (3.0, 2)])
def test_relu_rescaling(alpha, seed):
    obj = relu_net(seed=seed)
    found = dk.sharpness_invariance(obj, "relu", alpha=alpha, **QUICK)
    assert found.factors == {"0.weight": alpha, "0.bias": alpha, "2.weight": 1 / alpha}
    there = scaled(obj.layout, obj.theta, found.factors)
    before, after = (float(torch.linalg.eigvalsh(obj.hessian(theta))[-1]) for theta in (None, there))
    assert ratio(found, "lambda_max") == pytest.approx(after / before, rel=3e-3)
    for name in ("lambda_max", "sam", "keskar"):
        assert verdicts(found)[name] == "does not"
    for name in ("adaptive", "relative_flatness"):
        assert verdicts(found)[name] == "survives"
        assert ratio(found, name) == pytest.approx(1.0, abs=1e-6)
    assert found.loss_change <= found.allowed_change < 1e-13


def test_the_published_offset_breaks_the_invariance():
    """ASAM's T = |w| + 0.01 is invariant only where weights are far larger than 0.01."""
    found = dk.sharpness_invariance(relu_net(), "relu", alpha=1000.0, offset=0.01, **QUICK)
    assert verdicts(found)["adaptive"] == "does not"


def test_a_trained_network_in_float32():
    found = dk.sharpness_invariance(digits_objective(torch.float32), **QUICK)
    assert list(verdicts(found).values()) == ["does not"] * 4 + ["survives"] * 2
    frame = found.to_frame()
    assert frame.loc["lambda_max", "before"] == found.before.lambda_max
    assert frame.loc["adaptive", "verdict"] == "survives"
    assert found.num_hvps >= found.before.num_hvps + found.after.num_hvps


def test_what_scaling_before_a_normalization_does():
    """w . grad = 0, grad(alpha w) = grad / alpha, H(alpha w) = H / alpha^2."""
    obj, alpha = normalized_net(), 4.0
    found = dk.sharpness_invariance(obj, "normalization", alpha=alpha, **QUICK)
    assert found.factors == {"0.weight": alpha, "0.bias": alpha}
    there = scaled(obj.layout, obj.theta, found.factors)
    w, block = obj.theta[:24], slice(0, 24)
    g = obj.gradient()[block]
    assert abs(float(w @ g)) < 1e-9 * float(w.norm() * g.norm())
    torch.testing.assert_close(obj.gradient(there)[block], g / alpha, rtol=1e-7, atol=1e-12)
    H = obj.hessian()[block, block]
    torch.testing.assert_close(obj.hessian(there)[block, block], H / alpha**2, rtol=1e-6, atol=1e-10)
    for name in ("adaptive", "relative_flatness", "||w||^2 lambda_max"):
        assert verdicts(found)[name] == "survives"
        assert ratio(found, name) == pytest.approx(1.0, abs=2e-3)
    whole = [float(torch.linalg.eigvalsh(obj.hessian(theta))[-1]) for theta in (None, there)]
    assert ratio(found, "lambda_max") == pytest.approx(whole[1] / whole[0], rel=3e-3)


@pytest.mark.parametrize("norm", [nn.BatchNorm1d(6), nn.LayerNorm(6), nn.GroupNorm(1, 6)])
def test_the_epsilon_of_a_normalization_is_granted(norm):
    found = dk.sharpness_invariance(normalized_net(norm), "normalization", alpha=3.0, **QUICK)
    assert verdicts(found)["||w||^2 lambda_max"] == "survives"
    assert 0 < found.loss_change < 1e-3 * found.before.loss


def test_running_statistics_are_no_normalization():
    obj = normalized_net(norm_stats="running")
    with pytest.raises(dk.InputError, match=r"whose size the loss does not see.*norm_stats='batch'"):
        dk.sharpness_invariance(obj, "normalization")
    with pytest.raises(dk.InputError, match="the loss differs by"):
        dk.sharpness_invariance(obj, "normalization", layers=["0"])


def test_parameters_that_are_given():
    obj = relu_net()
    same = dk.sharpness_invariance(obj, obj.theta, **QUICK)
    assert set(same.verdicts) == {"survives"}
    np.testing.assert_array_equal(same.ratios, 1.0)
    flipped = obj.theta.clone()  # two hidden units change places
    W, b, V = flipped[:24].view(6, 4), flipped[24:30], flipped[30:42].view(2, 6)
    W[[0, 1]], b[[0, 1]], V[:, [0, 1]] = W[[1, 0]], b[[1, 0]], V[:, [1, 0]]
    found = dk.sharpness_invariance(obj, flipped, num_hvps=100)
    assert {verdicts(found)[name] for name in ("lambda_max", "trace", "sam", "adaptive")} == {"survives"}


def test_pairs_of_layers_that_are_named():
    torch.manual_seed(0)

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 6, bias=False), nn.Linear(6, 2)

        def forward(self, x):
            return self.second(torch.relu(self.first(x)))

    obj = dk.Objective(Own().double(), nn.CrossEntropyLoss(), (randn(20, 4), torch.arange(20) % 2))
    with pytest.raises(dk.InputError, match=r"no two linear layers joined by ReLU.*layers="):
        dk.sharpness_invariance(obj)
    found = dk.sharpness_invariance(obj, layers=[("first", "second")], alpha=2.0, **QUICK)
    assert found.factors == {"first.weight": 2.0, "second.weight": 0.5}
    assert verdicts(found)["adaptive"] == "survives"


def test_pairs_are_found_where_all_between_is_homogeneous():
    conv = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3))
    net = nn.Sequential(
        conv, nn.LeakyReLU(), nn.Dropout(), nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)
    )
    assert relu_pairs(net) == [("0.0", "0.4"), ("0.4", "3")]
    for layer in (nn.Tanh(), nn.GELU(), nn.LayerNorm(6)):
        assert relu_pairs(nn.Sequential(nn.Linear(4, 6), layer, nn.Linear(6, 2))) == []


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: dk.sharpness_invariance(relu_net(nn.Tanh())), "joined by ReLU"),
        (lambda: dk.sharpness_invariance(relu_net(nn.Tanh()), layers=[("0", "2")]), "the loss differs"),
        (lambda: dk.sharpness_invariance(relu_net(), layers=[("0", "9")]), r"'9\.weight'"),
        (lambda: dk.sharpness_invariance(relu_net(), "normalization"), "norm_stats='batch'"),
        (lambda: dk.sharpness_invariance(relu_net(), "normalization", layers=["7"]), "no weights here"),
        (lambda: dk.sharpness_invariance(relu_net(), "dinh"), "'dinh'.*'relu'"),
        (lambda: dk.sharpness_invariance(relu_net(), alpha=-1.0), r"alpha = -1\.0"),
        (lambda: dk.sharpness_invariance(relu_net(), tolerance=0), "tolerance = 0"),
        (lambda: dk.sharpness_invariance(relu_net(), [1.0]), r"transformation of shape \(1,\)"),
        (lambda: dk.sharpness_invariance(relu_net(), eps=-1), "eps = -1"),
        (lambda: dk.sharpness_invariance(3), "an? int"),
    ],
)
def test_refused_in_words(call, words):
    with pytest.raises(dk.InputError, match=words):
        call()


def test_verdicts():
    assert _verdict(1.02, 0.02, 0.05) == "survives"
    assert _verdict(1.02, 0.04, 0.05) == "undecided"
    assert _verdict(0.5, 0.1, 0.05) == "does not"
    assert _verdict(2.0, float("inf"), 0.05) == "undecided"
    assert _verdict(float("nan"), float("nan"), 0.05) == "undecided"


def test_out_of_time():
    with watching(budget=0.0):
        found = dk.sharpness_invariance(relu_net(), **QUICK)
    assert not found.complete
    assert "undecided" in found.verdicts
