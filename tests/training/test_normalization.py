"""Normalization as a switch: torch's own definitions, exact identities, and what cannot be meant."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import diagkit as dk
from oracles import randn

ACTIVATIONS = ("batch", "batch-renorm", "layer", "group", "instance")

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def seeded_net(*layers):
    """In float64, the same weights at every call."""
    net = nn.Sequential(*layers).double()
    for seed, p in enumerate(net.parameters()):
        nn.init.normal_(p, std=0.5, generator=torch.Generator().manual_seed(seed))
    return net


def dense_net():
    return seeded_net(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 2))


def conv_net(dims):
    kind = CONVOLUTIONS[dims]
    hidden = kind(2, 4, 2), nn.ReLU(), kind(4, 6, 2), nn.ReLU()
    return seeded_net(*hidden, nn.Flatten(), nn.Linear(6 * 2**dims, 3))


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(3, 6), nn.Linear(6, 2)

    def forward(self, x):
        return self.out(F.relu(self.hidden(x)))


def normalized(x, over, eps=1e-5):
    mean = x.mean(over, keepdim=True)
    return (x - mean) / (x.var(over, correction=0, keepdim=True) + eps).sqrt()


def by_definition(kind, h, groups):
    """From the table in the docstring, [N, C, ...] -> the same shape."""
    flat = h.reshape(h.shape[0], h.shape[1], -1)
    if kind in ("batch", "batch-renorm"):
        out = normalized(flat, (0, 2))
    elif kind == "layer":
        out = normalized(flat, (1, 2))
    elif kind == "group":
        out = normalized(flat.reshape(len(flat), groups, -1), (2,)).reshape(flat.shape)
    else:
        out = normalized(flat, (2,))
    return out.reshape(h.shape)


@pytest.mark.parametrize("kind", ACTIVATIONS)
@pytest.mark.parametrize("dims", [0, 1, 2, 3])
def test_outputs_are_those_of_the_definition(kind, dims):
    if kind == "instance" and dims == 0:
        pytest.skip("refused")
    net, x = (dense_net(), randn(7, 3)) if dims == 0 else (conv_net(dims), randn(5, 2, *[4] * dims))
    layer = copy.deepcopy(net[0])
    found = dk.with_normalization(net, kind, num_groups=2, gamma=2.0, beta=0.5, layers="0")
    if kind == "batch-renorm":
        found[0].norm.r_max, found[0].norm.d_max = 1.0, 0.0
    expected = 2.0 * by_definition(kind, layer(x), 2) + 0.5
    assert torch.allclose(found[0](x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", [*ACTIVATIONS, "weight", "spectral", "none"])
@pytest.mark.parametrize("place", ["before", "after"])
def test_a_copy_with_the_same_weights(kind, place):
    if place == "after" and kind in ("weight", "spectral"):
        pytest.skip("refused")
    net = conv_net(2).eval()
    before, random = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    found = dk.with_normalization(net, kind, place=place, num_groups=2)
    assert torch.equal(torch.get_rng_state(), random)
    assert str(net) == str(conv_net(2).eval())
    assert all(torch.equal(t, before[n]) for n, t in net.state_dict().items())
    assert not {id(p) for p in net.parameters()} & {id(p) for p in found.parameters()}
    layers = [m for m in found.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    if kind not in ("weight", "spectral"):
        old = [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
        assert all(torch.equal(a.weight, b.weight) for a, b in zip(layers, old, strict=True))
    assert not any(m.training for m in found.modules())
    assert all(p.dtype == torch.float64 for p in found.parameters())
    assert found(randn(5, 2, 4, 4)).shape == (5, 3)


def test_the_output_layer_is_left_alone():
    found = dk.with_normalization(dense_net(), "batch")
    assert [n for n, m in found.named_modules() if isinstance(m, nn.BatchNorm1d)] == ["0.norm", "2.norm"]
    assert isinstance(found[4], nn.Linear)


def test_place_is_before_or_after_the_activation():
    net, x = dense_net(), randn(7, 3)
    h = net[0](x)
    before = dk.with_normalization(net, "batch", layers="0")
    after = dk.with_normalization(net, "batch", layers="0", place="after")
    assert torch.allclose(before[:2](x), torch.tanh(by_definition("batch", h, 1)))
    assert torch.allclose(after[:2](x), by_definition("batch", torch.tanh(h), 1))
    assert [n for n, _ in after.named_parameters()][:4] == [
        "0.weight",
        "0.bias",
        "1.norm.weight",
        "1.norm.bias",
    ]


def test_a_model_whose_activations_are_functions():
    model = Functional().double()
    x = randn(7, 3)
    found = dk.with_normalization(model, "layer")
    expected = model.out(F.relu(F.layer_norm(model.hidden(x), (6,))))
    assert torch.allclose(found(x), expected)
    with pytest.raises(dk.InputError, match=r"'hidden' .* no activation module of its own"):
        dk.with_normalization(model, "layer", place="after")


def test_a_layer_used_under_two_names_stays_one():
    model = Functional().double()
    model.again = model.hidden
    found = dk.with_normalization(model, "batch", layers="hidden")
    assert found.again is found.hidden
    assert isinstance(found.again.norm, nn.BatchNorm1d)


def test_weight_normalization_leaves_the_function_and_splits_length_from_direction():
    for net, x in ((dense_net(), randn(7, 3)), (conv_net(2), randn(5, 2, 4, 4))):
        found = dk.with_normalization(net, "weight")
        assert torch.allclose(found(x), net(x), rtol=1e-12)
        g = found[0].parametrizations.weight.original0
        assert torch.allclose(g.flatten(), net[0].weight.flatten(1).norm(dim=1))
    transposed = nn.Sequential(nn.ConvTranspose2d(2, 6, 3), nn.ReLU(), nn.Conv2d(6, 1, 1)).double()
    g = dk.with_normalization(transposed, "weight")[0].parametrizations.weight.original0
    assert g.numel() == 6, "one length per output channel"


def test_spectral_normalization_has_norm_one():
    net = dense_net()
    found = dk.with_normalization(net, "spectral", seed=3)
    for _ in range(300):
        found(randn(7, 3))
    for layer in (found[0], found[2]):
        assert float(torch.linalg.matrix_norm(layer.weight.detach(), 2)) == pytest.approx(1.0, rel=1e-6)
    a, b = (dk.with_normalization(net, "spectral", seed=3)(randn(7, 3)) for _ in range(2))
    assert torch.equal(a, b), "same seed, same answer"


# -- identities of the kinds ---------------------------------------------------------------------------


def test_one_group_is_layer_normalization_and_c_groups_are_instances():
    x = randn(5, 2, 4, 4)
    net = conv_net(2)
    h = net[0](x)
    layer = dk.with_normalization(net, "layer", layers="0")
    one = dk.with_normalization(net, "group", num_groups=1, layers="0")
    each = dk.with_normalization(net, "group", num_groups=4, layers="0")
    instance = dk.with_normalization(net, "instance", layers="0")
    assert torch.allclose(layer[0](x), F.layer_norm(h, h.shape[1:]))
    assert torch.equal(layer[0](x), one[0](x))
    assert torch.allclose(each[0](x), instance[0](x))


def test_instances_of_one_value():
    """On 1 x 1 maps what is left is beta: torch says so for instances, C groups give it."""
    x = randn(5, 2, 1, 1)
    net = nn.Sequential(nn.Conv2d(2, 4, 1), nn.ReLU(), nn.Conv2d(4, 1, 1)).double()
    each = dk.with_normalization(net, "group", num_groups=4, beta=0.25)
    assert torch.allclose(each[0](x), torch.full((5, 4, 1, 1), 0.25, dtype=torch.float64), atol=1e-12)
    with pytest.raises(ValueError, match="more than 1 spatial element"):
        dk.with_normalization(net, "instance")(x)


@pytest.mark.parametrize("kind", ["batch", "layer", "group", "instance", "weight"])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_length_of_weights_before_a_normalization(kind, seed):
    """L(alpha w) = L(w): w . grad = 0, grad(alpha w) = grad(w) / alpha, H(alpha w) = H(w) / alpha^2."""
    torch.manual_seed(seed)
    layers = nn.Conv1d(2, 4, 3, bias=False), nn.Tanh(), nn.Flatten(), nn.Linear(16, 2)
    plain = nn.Sequential(*layers).double()
    data = randn(12, 2, 6, seed=seed), torch.arange(12) % 2
    # eps alone breaks the invariance, by about eps / variance; torch wants it positive
    model = dk.with_normalization(plain, kind, num_groups=2, eps=1e-14)
    name = "0.parametrizations.weight.original1" if kind == "weight" else "0.layer.weight"
    obj = dk.Objective(model, nn.CrossEntropyLoss(), data, params=[name], norm_stats="batch")
    w, alpha = obj.theta, 2.5
    gradient, H = obj.gradient(), obj.hessian()
    assert float(gradient.norm()) > 1e-3
    assert abs(float(w @ gradient)) <= 1e-11 * float(w.norm() * gradient.norm())
    assert torch.allclose(obj.gradient(alpha * w), gradient / alpha, rtol=1e-9, atol=1e-11)
    assert torch.allclose(obj.hessian(alpha * w), H / alpha**2, rtol=1e-9, atol=1e-10)


# -- batch renormalization -----------------------------------------------------------------------------


def warmed(**options):
    """A layer and nn.BatchNorm that have seen the same batches."""
    ours, torchs = dk.BatchRenorm(3, **options), nn.BatchNorm1d(3)
    with torch.no_grad():
        for layer in (ours, torchs):
            layer.weight.copy_(torch.tensor([1.0, 2.0, -1.0]))
            layer.bias.copy_(torch.tensor([0.0, 0.5, 1.0]))
    return ours.double(), torchs.double()


def test_without_room_batch_renorm_is_batch_norm_gradients_and_buffers_too():
    ours, torchs = warmed(r_max=1.0, d_max=0.0)
    for seed in range(3):
        x = 2.0 * randn(8, 3, seed=seed) + 1.0
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        for layer, leaf in ((ours, a), (torchs, b)):
            (layer(leaf) ** 3).sum().backward()
        assert torch.allclose(a.grad, b.grad, rtol=1e-12, atol=1e-12)
        assert torch.allclose(ours.weight.grad, torchs.weight.grad)
    assert all(torch.equal(t, ours.state_dict()[n]) for n, t in torchs.state_dict().items())
    x = randn(8, 3)
    assert torch.allclose(ours.eval()(x), torchs.eval()(x), rtol=1e-12)


def test_unclipped_batch_renorm_treats_a_batch_as_evaluation_does():
    ours, _ = warmed(r_max=float("inf"), d_max=float("inf"))
    for seed in range(3):
        ours(2.0 * randn(8, 3, seed=seed) + 1.0)
    x = randn(5, 3, seed=9)
    expected = ours.eval()(x)
    assert torch.allclose(ours.train()(x), expected, rtol=1e-10)


def test_clipped_batch_renorm_is_the_formula():
    ours, _ = warmed(r_max=1.5, d_max=0.5)
    ours.running_mean.copy_(torch.tensor([5.0, 0.0, 0.2]))
    ours.running_var.copy_(torch.tensor([9.0, 1.0, 0.01]))
    mean, var, x = ours.running_mean.clone(), ours.running_var.clone(), randn(6, 3, seed=2)
    leaf = x.clone().requires_grad_()
    y = ours(leaf)
    sigma_b, sigma = (x.var(0, correction=0) + 1e-5).sqrt(), (var + 1e-5).sqrt()
    r, d = (sigma_b / sigma).clamp(1 / 1.5, 1.5), ((x.mean(0) - mean) / sigma).clamp(-0.5, 0.5)
    assert (r == 1 / 1.5).any()
    assert (d == -0.5).any()
    twin = x.clone().requires_grad_()
    normal = (twin - twin.mean(0)) / (twin.var(0, correction=0) + 1e-5).sqrt()
    expected = ours.weight * (normal * r + d) + ours.bias
    assert torch.allclose(y, expected)
    (got,) = torch.autograd.grad((y**3).sum(), leaf)
    assert torch.allclose(got, torch.autograd.grad((expected**3).sum(), twin)[0]), "r and d are constants"


def test_batch_renorm_under_an_objective():
    """Batch statistics are used, the buffers kept, and derivatives hold rho and d at their values."""
    model = dk.with_normalization(dense_net(), "batch-renorm", layers="0")
    model(randn(8, 3))
    before = copy.deepcopy(model.state_dict())
    x, y = randn(10, 3, seed=1), randn(10, 2, seed=2)
    obj = dk.Objective(model, nn.MSELoss(), (x, y), norm_stats="batch", params=["0.layer.weight"])
    twin = copy.deepcopy(model).train()
    assert obj.loss() == pytest.approx(float(nn.MSELoss()(twin(x), y).detach()), rel=1e-12)
    assert dk.check_symmetry(obj).symmetric
    weight, norm = model[0].layer.weight.detach(), model[0].norm
    h = x @ weight.T + model[0].layer.bias.detach()
    sigma = (norm.running_var + norm.eps).sqrt()
    rho = ((h.var(0, correction=0) + norm.eps).sqrt() / sigma).clamp(1 / 3, 3)
    d = ((h.mean(0) - norm.running_mean) / sigma).clamp(-5, 5)

    def held(w):
        h = x @ w.view(weight.shape).T + model[0].layer.bias.detach()
        return nn.MSELoss()(model[1:].eval()(normalized(h, 0) * rho + d), y)

    oracle = torch.autograd.functional.hessian(held, obj.theta)
    assert torch.allclose(obj.hessian(), oracle, rtol=1e-9, atol=1e-12)
    assert all(torch.equal(t, before[n]) for n, t in model.state_dict().items())


@pytest.mark.parametrize("kind", ["batch", "batch-renorm"])
def test_a_batch_of_one(kind):
    net = dk.with_normalization(dense_net(), kind)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        net(randn(1, 3))
    assert net.eval()(randn(1, 3)).shape == (1, 2)


# -- what cannot be meant ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"kind": "bath"}, "kind='bath'; allowed: one of batch"),
        ({"kind": "batch", "place": "between"}, "place='between'"),
        ({"kind": "weight", "place": "after"}, "no place among the activations"),
        ({"kind": "spectral", "gamma": 0.5}, "no place among the activations"),
        ({"kind": "batch", "gamma": float("nan")}, "gamma=nan"),
        ({"kind": "batch", "eps": 0.0}, "eps"),
        ({"kind": "batch", "momentum": -1}, "momentum"),
        ({"kind": "group", "num_groups": 4}, r"6 channels, num_groups = 4; allowed: a divisor: \[1, 2, 3\]"),
        ({"kind": "group", "num_groups": 6}, "a group of one number would be normalized to 0"),
        ({"kind": "instance"}, "without a hidden convolutional layer"),
        ({"kind": "instance", "layers": ["0"]}, "layer '0' .Linear., whose outputs have one value"),
        ({"kind": "batch", "layers": "fc*"}, r"layers='fc\*', which matches no"),
    ],
)
def test_refused(options, text):
    with pytest.raises(dk.InputError, match=text):
        dk.with_normalization(dense_net(), options.pop("kind"), **options)


def test_models_that_are_refused():
    with pytest.raises(dk.InputError, match="model of type list"):
        dk.with_normalization([], "batch")
    with pytest.raises(dk.InputError, match="without a hidden Linear or convolutional layer"):
        dk.with_normalization(nn.Sequential(nn.Linear(2, 1)), "batch")
    for kind in ("batch", "weight", "none"):
        once = dk.with_normalization(dense_net(), "weight")
        with pytest.raises(dk.InputError, match="normalized already, at"):
            dk.with_normalization(once, kind)
    shared = nn.ReLU()
    net = nn.Sequential(nn.Linear(2, 4), shared, nn.Linear(4, 4), shared, nn.Linear(4, 1))
    with pytest.raises(dk.InputError, match="no activation module of its own"):
        dk.with_normalization(net, "batch", place="after")
    tied = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 4))
    tied[4].weight = tied[0].weight
    with pytest.raises(dk.InputError, match="whose weight is tied"):
        dk.with_normalization(tied, "weight")
    assert dk.with_normalization(tied, "batch")[4].weight.shape == (4, 2), "elsewhere a tie is kept"
    for bounds in ({"r_max": 0.5}, {"d_max": -1.0}, {"r_max": float("nan")}):
        with pytest.raises(dk.InputError, match="_max = "):
            dk.BatchRenorm(3, **bounds)


def test_attention_keeps_its_projection():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
            self.hidden, self.act, self.out = nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4)

        def forward(self, x):
            return self.out(self.act(self.hidden(self.attention(x, x, x)[0])))

    found = dk.with_normalization(Block(), "layer")
    assert isinstance(found.hidden.norm, nn.LayerNorm)
    assert found(torch.randn(2, 3, 4)).shape == (2, 3, 4)
