"""Activations and their gradients against a plain forward and backward pass, and against theory."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import diagkit as dk
from diagkit.measure.growth import growth
from diagkit.work import watching
from oracles import randn

EXPLOSION = math.pi / (math.pi - 1)


def dense(*widths, between=(nn.ReLU,), seed=0, bias=True, gain=2.0, dtype=torch.float64):
    """Linear layers with He's initialization and, between them, what is asked for."""
    layers = []
    generator = torch.Generator().manual_seed(seed)
    for i, (a, b) in enumerate(itertools.pairwise(widths)):
        layer = nn.Linear(a, b, bias=bias, dtype=dtype)
        nn.init.normal_(layer.weight, std=(gain / a) ** 0.5, generator=generator)
        if bias:
            nn.init.normal_(layer.bias, std=0.1, generator=generator)
        layers.append(layer)
        if i < len(widths) - 2:
            layers += [kind(b, dtype=dtype) if kind is nn.BatchNorm1d else kind() for kind in between]
    return nn.Sequential(*layers)


def regression(n=24, d=4, outputs=3, seed=5):
    return randn(n, d, seed=seed), randn(n, outputs, seed=seed + 1)


def plain(net, data, layers):
    """(outputs, gradients of each example's own loss) of some layers, by hand."""
    h, kept = data[0], []
    for i, layer in enumerate(net):
        h = layer(h)
        h.requires_grad_() if not h.requires_grad else h.retain_grad()
        kept += [h] if i in layers else []
    loss = nn.MSELoss()(h, data[1])
    return [k.detach() for k in kept], [len(h) * g for g in torch.autograd.grad(loss, kept)]


@pytest.mark.parametrize("batch_size", [None, 7])
@pytest.mark.parametrize("seed", [0, 1])
def test_numbers_are_those_of_a_plain_pass(batch_size, seed):
    net, data = dense(4, 9, 6, 3, seed=seed), regression()
    net[0].bias.data[:2] = -50.0  # two units that are dead behind the activation
    found = dk.signal_propagation(dk.Objective(net, nn.MSELoss(), data, batch_size=batch_size))
    outputs, gradients = plain(net, data, range(5))
    assert found.names == ("0", "1", "2", "3", "4")
    assert found.kinds == ("Linear", "ReLU", "Linear", "ReLU", "Linear")
    assert found.num_units.tolist() == [9, 9, 6, 6, 3]
    assert found.num_examples == 24
    for i, (h, g) in enumerate(zip(outputs, gradients, strict=True)):
        assert found.means[i] == pytest.approx(float(h.mean()), abs=1e-12)
        assert found.variances[i] == pytest.approx(float(h.var(correction=0)), rel=1e-10)
        assert found.mean_squares[i] == pytest.approx(float((h**2).mean()), rel=1e-10)
        assert found.mean_sems[i] == pytest.approx(float(h.mean(1).std()) / 24**0.5, rel=1e-10)
        assert found.zeros[i] == pytest.approx(float((h == 0).double().mean()))
        assert found.dead[i] == pytest.approx(float((h == 0).all(0).double().mean()))
        squares = (g**2).sum(1)
        assert found.gradient_sq_norms[i] == pytest.approx(float(squares.mean()), rel=1e-10)
        assert found.gradient_sq_norm_sems[i] == pytest.approx(float(squares.std()) / 24**0.5, rel=1e-10)
        assert found.gradient_variances[i] == pytest.approx(float(g.var(correction=0)), rel=1e-10)
    assert found.dead[1] >= 2 / 9
    assert found.dead[0] == 0


def test_standard_errors_are_those_of_resampling():
    """The spread of mean, variance and squared gradient over samples of examples, seen and told."""
    net = dense(4, 8, 3)
    runs = [
        dk.signal_propagation(dk.Objective(net, nn.MSELoss(), regression(200, seed=100 + 2 * s)))
        for s in range(40)
    ]
    for value, sem in (
        ("means", "mean_sems"),
        ("variances", "variance_sems"),
        ("zeros", "zero_sems"),
        ("gradient_sq_norms", "gradient_sq_norm_sems"),
    ):
        seen = np.array([getattr(r, value)[1] for r in runs]).std(ddof=1)
        told = np.mean([getattr(r, sem)[1] for r in runs])
        assert told == pytest.approx(seen, rel=0.4), value  # a spread of 40 is known to 11 %


# -- hooks on whatever path -----------------------------------------------------------------------------


def assert_same(a, b):
    for name in ("means", "variances", "zeros", "dead", "gradient_sq_norms", "gradient_variances"):
        assert np.allclose(getattr(a, name), getattr(b, name), rtol=1e-10, atol=1e-14, equal_nan=True), name


def test_activations_in_place():
    """What a layer put out is told, not what the next one made of it in the same memory."""
    data, plain_net = regression(), dense(4, 9, 6, 3)
    inplace = dense(4, 9, 6, 3, between=(lambda: nn.ReLU(inplace=True),))
    a, b = (dk.signal_propagation(dk.Objective(n, nn.MSELoss(), data)) for n in (plain_net, inplace))
    assert_same(a, b)


def test_a_module_called_twice_has_two_rows():
    act, net, data = nn.ReLU(), dense(4, 9, 6, 3), regression()
    shared = nn.Sequential(net[0], act, net[2], act, net[4])
    a, b = (dk.signal_propagation(dk.Objective(n, nn.MSELoss(), data)) for n in (net, shared))
    assert b.names == ("0", "1", "2", "1 (call 2)", "4")
    assert_same(a, b)


def test_gradients_reach_what_is_not_trained():
    """A block of parameters, and frozen layers in front: the signal is the same."""
    net, data = dense(4, 9, 6, 3), regression()
    whole = dk.signal_propagation(dk.Objective(net, nn.MSELoss(), data))
    assert_same(whole, dk.signal_propagation(dk.Objective(net, nn.MSELoss(), data, params=["4"])))
    net[0].requires_grad_(False)
    net[2].requires_grad_(False)
    assert_same(whole, dk.signal_propagation(dk.Objective(net, nn.MSELoss(), data)))


class Kept(nn.Module):
    """Random features that are computed without a graph."""

    def __init__(self):
        super().__init__()
        self.body, self.head = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x):
        with torch.no_grad():
            features = torch.relu(self.body(x))
        return self.head(features)


def test_what_runs_without_a_graph_gets_no_gradient():
    found = dk.signal_propagation(dk.Objective(Kept(), nn.MSELoss(), regression()))
    assert found.verdict == "undecided"
    assert "head" in found.names


class Checkpointed(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net[4](checkpoint(self.net[:4], x, use_reentrant=False))


def test_a_checkpointed_block_is_heard_once():
    net, data = dense(4, 9, 6, 3), regression()
    a, b = (dk.signal_propagation(dk.Objective(n, nn.MSELoss(), data)) for n in (net, Checkpointed(net)))
    assert b.names == tuple(f"net.{i}" for i in range(5))
    assert_same(a, b)


def test_batch_statistics_are_those_of_training():
    net, data = dense(4, 9, 6, 3, between=(nn.BatchNorm1d, nn.ReLU)), regression()
    found = dk.signal_propagation(dk.Objective(net, nn.MSELoss(), data, norm_stats="batch"))
    outputs, gradients = plain(net.train(), data, range(7))
    norms = [float((g**2).sum(1).mean()) for g in gradients]
    assert found.gradient_sq_norms == pytest.approx(norms, rel=1e-9)
    assert found.means == pytest.approx([float(h.mean()) for h in outputs], abs=1e-12)


def test_convolutions_parametrized_weights_and_attention():
    data = randn(6, 2, 5, 5), torch.arange(6) % 3
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3)).double()
    net = dk.with_normalization(net, "weight")
    found = dk.signal_propagation(dk.Objective(net, nn.CrossEntropyLoss(), data))
    assert found.kinds == ("Conv2d", "ReLU", "Flatten", "Linear")
    assert found.is_weight_layer.tolist() == [True, False, False, True]
    block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dtype=torch.float64)
    sequences = randn(4, 3, 8), randn(4, 3, 8, seed=1)
    found = dk.signal_propagation(dk.Objective(block, nn.MSELoss(), sequences))
    assert {"linear1", "linear2", "norm1", "norm2"} <= set(found.names)
    assert np.isfinite(found.gradient_sq_norms[list(found.names).index("linear1")])


# -- what depth does --------------------------------------------------------------------------------------


@pytest.mark.parametrize("a", [0.5, 1.0, 2.0])
def test_orthogonal_layers_scale_exactly(a):
    """h -> a Q h: signal and gradient change by a^2 per layer, without scatter."""
    net = nn.Sequential(*[nn.Linear(4, 4, bias=False, dtype=torch.float64) for _ in range(12)])
    for seed, layer in enumerate(net):
        layer.weight.data = a * torch.linalg.qr(randn(4, 4, seed=seed))[0]
    found = dk.signal_propagation(dk.Objective(net, nn.MSELoss(), regression(outputs=4)))
    assert found.signal_growth.factor == pytest.approx(a**2)
    assert found.gradient_growth.factor == pytest.approx(a**2)
    assert found.gradient_growth.interval == pytest.approx((a**2, a**2))
    assert found.gradient_growth.num_steps == 9, "from the first and to the last layer nothing is told"
    assert found.verdict == {0.5: "vanishing", 1.0: "steady", 2.0: "exploding"}[a]


def initial(seed, between, depth=16, width=128, n=128):
    net = dense(64, *[width] * depth, 1, between=between, seed=seed, bias=False, dtype=torch.float32)
    data = randn(n, 64, seed=50 + seed).float(), randn(n, 1, seed=80 + seed).float()
    obj = dk.Objective(net, nn.MSELoss(), data, norm_stats="batch", batch_size=n)
    return dk.signal_propagation(obj).gradient_growth


def test_batch_normalization_explodes_gradients_at_initialization():
    found = [initial(seed, (nn.BatchNorm1d, nn.ReLU)) for seed in range(6)]
    assert sum(g.interval[0] <= EXPLOSION <= g.interval[1] for g in found) >= 5, "95 % intervals"
    assert np.mean([g.factor for g in found]) == pytest.approx(EXPLOSION, rel=0.03)  # five standard errors
    assert all(g.interval[0] > 1.2 for g in found), "beyond their error"


def test_he_initialization_keeps_gradients():
    """In the mean over the weights; a geometric mean lies below by about 5 / (2 width) per layer."""
    found = [initial(seed, (nn.ReLU,)) for seed in range(6)]
    assert np.mean([g.factor for g in found]) == pytest.approx(1.0, abs=0.06)
    assert all(g.interval[1] < 1.2 for g in found)
    assert {g.verdict for g in found} == {"steady"}


def test_all_weights_zero():
    net = dense(4, 5, 5, 5, 5, 3)
    for p in net.parameters():
        nn.init.zeros_(p)
    found = dk.signal_propagation(dk.Objective(net, nn.MSELoss(), regression()))
    assert found.dead.tolist() == [1.0] * 9
    assert np.isnan(found.gradient_growth.factor), "0 from 0 tells nothing"
    assert found.verdict == "undecided"
    nn.init.ones_(net[8].weight)
    nn.init.constant_(net[6].bias, 1.0)
    found = dk.signal_propagation(dk.Objective(net, nn.MSELoss(), regression()))
    assert found.gradient_growth.factor == 0.0
    assert found.verdict == "vanishing"


def test_growth_covers_the_truth():
    """Logarithms that walk with drift log 1.3 and steps of 0.2: the 95 % interval covers 1.3."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(400):
        walk = np.exp(np.cumsum(np.log(1.3) + 0.2 * rng.standard_normal(9)))
        low, high = growth(walk).interval
        covered += low <= 1.3 <= high
    assert 0.95 * 400 - 4 * (400 * 0.95 * 0.05) ** 0.5 <= covered < 400


def test_few_layers_leave_it_open():
    found = dk.signal_propagation(dk.Objective(dense(4, 9, 3), nn.MSELoss(), regression()))
    assert np.isnan(found.gradient_growth.factor)
    assert found.verdict == "undecided"


# -- contracts ---------------------------------------------------------------------------------------


def test_price_repr_and_table():
    obj = dk.Objective(dense(4, 9, 3), nn.MSELoss(), regression())
    found = dk.signal_propagation(obj)
    assert (found.num_evals, found.num_hvps, found.complete) == (1, 0, True)
    assert "verdict=undecided" in repr(found)
    assert found.to_frame().loc["1", "zeros"] == found.zeros[1]


def test_out_of_time():
    obj = dk.Objective(dense(4, 9, 3), nn.MSELoss(), regression(), batch_size=5)
    with watching(budget=0.0):
        found = dk.signal_propagation(obj)
    assert not found.complete
    assert found.num_examples < 24


def test_a_model_without_layers():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.ones(4, dtype=torch.float64))

        def forward(self, x):
            return (x @ self.w).mean()

    obj = dk.Objective(Bare(), lambda out, y: out**2, regression())
    with pytest.raises(dk.InputError, match="a Bare in which no module puts out"):
        dk.signal_propagation(obj)
