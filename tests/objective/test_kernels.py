"""Cheap second derivatives against torch's own, in value, gradient and Hessian product."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.checkpoint import checkpoint

import diagkit as dk
from diagkit.objective.kernels import TABLE, CheapSecondDerivatives
from oracles import randn

LABELS = torch.tensor([0, 1, 4, 2])
MEAN, VAR = randn(5, seed=90), randn(5, seed=91).abs() + 0.1
MASK = torch.ones(4, 4, dtype=torch.bool).tril()

CASES = {
    "linear": (F.linear, [(5, 3), (4, 3), (4,)]),
    "linear of sequences": (F.linear, [(2, 5, 3), (4, 3), (4,)]),
    "linear without bias": (F.linear, [(5, 3), (4, 3)]),
    "conv1d": (lambda x, w, b: F.conv1d(x, w, b, padding=1), [(3, 4, 7), (6, 4, 3), (6,)]),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, stride=2, padding=1), [(3, 4, 7, 7), (6, 4, 3, 3), (6,)]),
    "conv2d, dilated": (lambda x, w: F.conv2d(x, w, dilation=2), [(3, 4, 7, 7), (6, 4, 3, 3)]),
    "conv2d, grouped": (lambda x, w: F.conv2d(x, w, groups=2), [(3, 4, 7, 7), (6, 2, 3, 3)]),
    "conv2d, one by one": (F.conv2d, [(3, 4, 2, 2), (6, 4, 1, 1), (6,)]),
    "conv2d, padding by name": (lambda x, w: F.conv2d(x, w, padding="same"), [(3, 4, 7, 7), (6, 4, 3, 3)]),
    "conv3d": (F.conv3d, [(2, 2, 4, 4, 4), (3, 2, 2, 2, 2), (3,)]),
    "softmax": (lambda x: F.softmax(x, -1), [(4, 5)]),
    "softmax, method": (lambda x: x.softmax(0), [(4, 5)]),
    "log_softmax": (lambda x: torch.log_softmax(x, 1), [(4, 5)]),
    "cross-entropy": (lambda x: F.cross_entropy(x, LABELS), [(4, 5)]),
    "cross-entropy of one": (lambda x: F.cross_entropy(x, torch.tensor(2)), [(5,)]),
    "cross-entropy of sequences": (
        lambda x: F.cross_entropy(x, torch.tensor([[0, 1], [3, -100]]), torch.arange(5.0).double() + 1),
        [(2, 5, 2)],
    ),
    "cross-entropy, ignoring": (lambda x: F.cross_entropy(x, LABELS, ignore_index=1), [(4, 5)]),
    "cross-entropy, smoothed": (lambda x: F.cross_entropy(x, LABELS, label_smoothing=0.1), [(4, 5)]),
    "cross-entropy, soft": (lambda x: F.cross_entropy(x, randn(4, 5).softmax(1)), [(4, 5)]),
    "layer_norm": (lambda x, w, b: F.layer_norm(x, (5,), w, b, 0.1), [(4, 5), (5,), (5,)]),
    "layer_norm of two axes": (lambda x: F.layer_norm(x, (3, 5)), [(4, 3, 5)]),
    "batch_norm, running": (lambda x, w, b: F.batch_norm(x, MEAN, VAR, w, b), [(4, 5), (5,), (5,)]),
    "batch_norm of images": (lambda x: F.batch_norm(x, MEAN, VAR), [(4, 5, 3, 3)]),
    "batch_norm, batch": (
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        [(4, 5), (5,), (5,)],
    ),
    "attention": (F.scaled_dot_product_attention, [(2, 4, 3)] * 3),
    "attention, causal": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.3),
        [(2, 4, 3)] * 3,
    ),
    "attention, masked": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=MASK),
        [(2, 4, 3)] * 3,
    ),
    "attention, biased": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=randn(4, 4)),
        [(2, 4, 3)] * 3,
    ),
    "tanh": (torch.tanh, [(7,)]),
    "sigmoid": (torch.sigmoid, [(7,)]),
    "gelu": (F.gelu, [(7,)]),
    "gelu, approximate": (lambda x: F.gelu(x, approximate="tanh"), [(7,)]),
    "silu": (F.silu, [(7,)]),
}
LEFT_TO_TORCH = {
    "conv2d, padding by name",
    "cross-entropy, smoothed",
    "cross-entropy, soft",
    "batch_norm, batch",
    "gelu, approximate",
}
COMPOSED = {"batch_norm, running", "batch_norm of images"}  # of torch's own multiplications


def derivatives(f, shapes, frozen=()):
    """Value, gradient and Hessian product of a scalar that is curved in the function's output."""
    args = [randn(*shape, seed=i).requires_grad_(i not in frozen) for i, shape in enumerate(shapes)]
    wanted = [a for a in args if a.requires_grad]
    y = f(*args)
    scalar = (y * randn(max(y.numel(), 1), seed=50).view(y.shape)).sum() + (y**3).sum()
    gradient = torch.autograd.grad(scalar, wanted, create_graph=True)
    vectors = [randn(*a.shape, seed=60 + i) for i, a in enumerate(wanted)]
    return [y, *gradient, *torch.autograd.grad(gradient, wanted, vectors)], gradient


def names_in_graph(tensors):
    todo, seen = [t.grad_fn for t in tensors if t.grad_fn], set()
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo += [n for n, _ in node.next_functions if n is not None]
    return {type(node).__name__ for node in seen}


@pytest.mark.parametrize("frozen", [(), (0,), (1,)])
@pytest.mark.parametrize("name", CASES)
def test_same_function_same_derivatives(name, frozen):
    f, shapes = CASES[name]
    if frozen and (len(shapes) == 1 or max(frozen) >= len(shapes)):
        frozen = ()
    with sdpa_kernel(SDPBackend.MATH):
        plain, _ = derivatives(f, shapes, frozen)
    with CheapSecondDerivatives(), sdpa_kernel(SDPBackend.MATH):
        cheap, gradient = derivatives(f, shapes, frozen)
    for a, b in zip(cheap, plain, strict=True):
        torch.testing.assert_close(a, b, atol=1e-11, rtol=1e-11)
    names = names_in_graph(gradient)
    if name in COMPOSED:
        assert not any("BatchNorm" in n for n in names), names
    elif name != "layer_norm" or 0 not in frozen:  # h of a fixed x is a constant
        assert any(n.startswith("_") for n in names) == (name not in LEFT_TO_TORCH), "which computed it?"


def test_every_kernel_has_a_case():
    """A kernel replaced by one that always declines must be missed by the test above."""
    assert len(TABLE) == 20
    assert {k.__name__ for k in TABLE.values()} <= {
        *("linear", "run", "softmax", "log_softmax", "cross_entropy", "layer_norm", "batch_norm"),
        *("scaled_dot_product_attention", "tanh", "sigmoid", "gelu", "silu"),
    }


class SlopeNet(nn.Module):
    """The loss holds a derivative with respect to the input: its Hessian needs third derivatives."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1)).double()

    def forward(self, x):
        with torch.enable_grad():
            x = x.clone().requires_grad_()
            return torch.autograd.grad(self.net(x).sum(), x, create_graph=True)[0]


class Mapped(nn.Module):
    """torch.func inside the model, which knows nothing of our kernels."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1)).double()

    def forward(self, x):
        return torch.func.vmap(self.net)(x)


def overwriting():
    """Activations in place, of outputs that the kernels keep for their derivatives."""
    return nn.Sequential(
        nn.Linear(1, 4),
        nn.LayerNorm(4, elementwise_affine=False),
        nn.LeakyReLU(inplace=True),
        nn.Linear(4, 1),
    ).double()


class Checkpointed(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1)).double()

    def forward(self, x):
        return checkpoint(self.net, x, use_reentrant=False)


@pytest.mark.parametrize("make", [SlopeNet, Mapped, overwriting, Checkpointed])
def test_what_the_kernels_cannot_do_is_left_to_torch(make):
    torch.manual_seed(0)
    model, X = make(), randn(6, 1)
    obj = dk.Objective(model, nn.MSELoss(), (X, X**2))
    v, h = randn(obj.num_params, seed=3), 1e-6
    ahead, behind = (obj.gradient(obj.theta + s * h * v) for s in (1, -1))
    torch.testing.assert_close(obj.hvp(v), (ahead - behind) / (2 * h), atol=1e-8, rtol=1e-6)


def test_outside_nothing_is_replaced():
    x = randn(3).requires_grad_()
    with CheapSecondDerivatives():
        pass
    assert type(torch.tanh(x).grad_fn).__name__ == "TanhBackward0"
    with CheapSecondDerivatives(), torch.no_grad():
        assert torch.equal(torch.tanh(x), x.detach().tanh())
    with CheapSecondDerivatives():
        assert type(torch.tanh(x.to(torch.bfloat16)).grad_fn).__name__ == "TanhBackward0"
