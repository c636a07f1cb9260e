"""Gauss-Newton products against a dense J^T (loss Hessian) J, and losses that have no such thing."""

from dataclasses import dataclass

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call, jacrev
from torch.nn.attention import SDPBackend, sdpa_kernel

import diagkit as dk
from diagkit.objective.gauss_newton import gauss_newton_products
from oracles import dense_hessian, randn, seeded


def dense_gauss_newton(model, loss_fn, data):
    """J [M, P] and the loss Hessian [M, M] of the whole batch by torch.func alone."""
    X, y = data
    named = {n: p.detach() for n, p in model.named_parameters()}
    outputs = lambda parts: functional_call(model, parts, (X,))  # noqa: E731
    z = outputs(named)
    with sdpa_kernel(SDPBackend.MATH):
        rows = jacrev(outputs)(named)
    J = torch.cat([rows[n].reshape(z.numel(), -1) for n in named], dim=1)
    curved = jacrev(jacrev(lambda flat: loss_fn(flat.view(z.shape), y)))(z.reshape(-1).detach())
    return J.T @ curved @ J


def dense_products(obj):
    with gauss_newton_products(obj) as G:
        return torch.stack([G.matvec(e) for e in torch.eye(obj.num_params, dtype=torch.float64)])


def token_loss(outputs, targets):
    return F.cross_entropy(outputs.flatten(0, 1), targets.flatten())


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.out = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        h = torch.tanh(self.first(x))
        return self.out(h + torch.sigmoid(self.second(h)))


class Tokens(nn.Module):
    """[N, T] -> [N, T, V], with attention and a tied embedding."""

    def __init__(self):
        super().__init__()
        self.embed, self.norm = nn.Embedding(5, 4), nn.LayerNorm(4)
        self.attend = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, tokens):
        h = self.embed(tokens)
        h = h + self.attend(*[self.norm(h)] * 3, need_weights=False)[0]
        return h @ self.embed.weight.T


def normalized():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Softplus(), nn.Linear(4, 2))
    model[1].running_mean.normal_()
    model[1].running_var.uniform_(0.5, 2.0)
    return model.eval()


def labels(*shape, classes):
    return torch.randint(classes, shape, generator=seeded(3))


CASES = {
    "least squares": (lambda: nn.Linear(3, 2), F.mse_loss, lambda: (randn(7, 3), randn(7, 2, seed=1))),
    "softmax": (lambda: nn.Linear(3, 4), F.cross_entropy, lambda: (randn(7, 3), labels(7, classes=4))),
    "residual net": (Residual, F.cross_entropy, lambda: (randn(7, 3), labels(7, classes=2))),
    "residual net, L1-like": (Residual, F.smooth_l1_loss, lambda: (randn(7, 3), randn(7, 2, seed=1))),
    "tokens": (Tokens, token_loss, lambda: (labels(4, 3, classes=5), labels(4, 3, classes=5))),
    "batchnorm": (normalized, F.cross_entropy, lambda: (randn(7, 3), labels(7, classes=2))),
}


@pytest.mark.parametrize("batch_size", [None, 3])
@pytest.mark.parametrize("name", CASES)
def test_against_dense(name, batch_size):
    make, loss_fn, data = CASES[name]
    model, data = make().double(), data()
    obj = dk.Objective(model, loss_fn, data, batch_size=batch_size)
    G = dense_products(obj)
    expected = dense_gauss_newton(model, loss_fn, data)
    torch.testing.assert_close(G, expected, rtol=1e-10, atol=1e-12 * float(expected.abs().max()))


@pytest.mark.parametrize("name", ["least squares", "softmax"])
def test_a_linear_model_has_nothing_else(name):
    make, loss_fn, data = CASES[name]
    model, data = make().double(), data()
    H = dense_hessian(model, loss_fn, data)
    torch.testing.assert_close(dense_products(dk.Objective(model, loss_fn, data)), H, rtol=1e-10, atol=1e-14)


def test_nothing_is_kept_where_memory_forbids_and_the_numbers_stay():
    model, data = Residual().double(), (randn(7, 3), labels(7, classes=2))
    rich = dk.Objective(model, F.cross_entropy, data)
    poor = dk.Objective(model, F.cross_entropy, data, memory_budget=1)
    with gauss_newton_products(poor) as G:
        assert G.kept == [None]
    torch.testing.assert_close(dense_products(poor), dense_products(rich), rtol=1e-13, atol=1e-15)


def test_price():
    obj = dk.Objective(nn.Linear(3, 2), F.mse_loss, (randn(7, 3), randn(7, 2)))
    with gauss_newton_products(obj) as G:
        G.matvec(obj.theta)
        G.matvec(obj.theta)
    assert obj.meter.num_hvps == 2


@dataclass
class Outputs:
    logits: torch.Tensor
    hidden: torch.Tensor
    name: str = "outputs"


CONTAINERS = {
    "tuple": (lambda z, h: (h, z), lambda out: out[1]),
    "dict": (lambda z, h: {"hidden": h, "logits": z}, lambda out: out["logits"]),
    "dataclass": (lambda z, h: Outputs(z, h), lambda out: out.logits),
    "twice the same": (lambda z, h: (z, [z]), lambda out: (out[0] + out[1][0]) / 2),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_outputs_in_containers(name):
    """Outputs that depend on each other (hidden and logits) must not be counted twice."""
    pack, logits = CONTAINERS[name]

    class Packed(Residual):
        def forward(self, x):
            h = torch.tanh(self.first(x))
            return pack(self.out(h + torch.sigmoid(self.second(h))), h)

    data, plain, packed = (randn(7, 3), labels(7, classes=2)), Residual().double(), Packed().double()
    packed.load_state_dict(plain.state_dict())
    step = lambda model, batch: F.cross_entropy(logits(model(batch[0])), batch[1])  # noqa: E731
    obj = dk.Objective.from_step(packed, step, [data])
    expected = dense_gauss_newton(plain, F.cross_entropy, data)
    torch.testing.assert_close(dense_products(obj), expected, rtol=1e-10, atol=1e-14)


class OwnLoss(nn.Linear):
    def forward(self, x, y):
        z = super().forward(x)
        return {"loss": F.cross_entropy(z, y), "logits": z}


REFUSED = {
    "weight penalty": (
        lambda: nn.Linear(3, 2),
        lambda m, b: F.cross_entropy(m(b[0]), b[1]) + m.weight.square().sum(),
        r"\['weight'\] beside the outputs",
    ),
    "two calls": (
        lambda: nn.Linear(3, 2),
        lambda m, b: F.cross_entropy(m(b[0]) + m(-b[0]).relu(), b[1]),
        "calls 2 times",
    ),
    "no call": (
        lambda: nn.Sequential(nn.Linear(3, 2)),
        lambda m, b: F.cross_entropy(m[0](b[0]), b[1]),
        "without calling",
    ),
    "own loss": (lambda: OwnLoss(3, 2), lambda m, b: m(*b)["loss"], "returns its own loss"),
    "nothing in the outputs": (
        lambda: Hidden(),
        lambda m, b: F.cross_entropy(m(b[0]).z, b[1]),
        "no tensor that depends on the parameters",
    ),
}


class Hidden(nn.Linear):
    def __init__(self):
        super().__init__(3, 2)

    def forward(self, x):
        class Secret:
            z = nn.Linear.forward(self, x)

        return Secret()


@pytest.mark.parametrize("name", REFUSED)
def test_refused_in_words(name):
    make, step, words = REFUSED[name]
    model = make()
    obj = dk.Objective.from_step(model, step, [(randn(7, 3).float(), labels(7, classes=2))])
    with pytest.raises(dk.InputError, match=words) as caught, gauss_newton_products(obj):
        pass
    caught.match("allowed: ")
    assert not model._forward_hooks


def test_not_finite():
    class Root(nn.Linear):
        def forward(self, x):
            return (super().forward(x) * 0).sqrt()

    obj = dk.Objective(Root(2, 1), lambda out, y: out.square().mean(), (torch.ones(3, 2), torch.ones(3)))
    with pytest.raises(dk.NonFiniteError, match="Gauss-Newton"), gauss_newton_products(obj) as G:
        G.matvec(obj.theta)
