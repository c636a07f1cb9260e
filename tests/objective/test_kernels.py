"""Cheap second derivatives against torch's own, in value, gradient and Hessian product."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

import diagkit as dk
from diagkit.objective.kernels import TABLE, CheapSecondDerivatives
from oracles import randn

LABELS = torch.tensor([0, 1, 4, 2])

CASES = {
    "conv1d": (lambda x, w, b: F.conv1d(x, w, b, padding=1), [(3, 4, 7), (6, 4, 3), (6,)]),
    "conv2d": (lambda x, w, b: F.conv2d(x, w, b, stride=2, padding=1), [(3, 4, 7, 7), (6, 4, 3, 3), (6,)]),
    "conv2d, dilated": (lambda x, w: F.conv2d(x, w, dilation=2), [(3, 4, 7, 7), (6, 4, 3, 3)]),
    "conv2d, grouped": (lambda x, w: F.conv2d(x, w, groups=2), [(3, 4, 7, 7), (6, 2, 3, 3)]),
    "conv2d, one by one": (F.conv2d, [(3, 4, 2, 2), (6, 4, 1, 1), (6,)]),
    "conv2d, padding by name": (lambda x, w: F.conv2d(x, w, padding="same"), [(3, 4, 7, 7), (6, 4, 3, 3)]),
    "conv3d": (F.conv3d, [(2, 2, 4, 4, 4), (3, 2, 2, 2, 2), (3,)]),
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
    "relu": (F.relu, [(7,)]),
    "relu, method": (lambda x: x.relu(), [(7,)]),
    "relu in place": (lambda x: F.relu(x * 1, inplace=True), [(7,)]),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2), [(2, 3, 6, 6)]),
    "max_pool2d, overlapping": (lambda x: F.max_pool2d(x, 3, 2, 1), [(2, 3, 7, 7)]),
    "max_pool2d of one image": (lambda x: F.max_pool2d(x, (2, 1), ceil_mode=True), [(3, 5, 4)]),
    "max_pool2d with indices": (lambda x: F.max_pool2d(x, 2, return_indices=True)[0], [(2, 3, 6, 6)]),
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
    "relu in place",
    "max_pool2d with indices",
}


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
    plain, _ = derivatives(f, shapes, frozen)
    with CheapSecondDerivatives():
        cheap, gradient = derivatives(f, shapes, frozen)
    for a, b in zip(cheap, plain, strict=True):
        torch.testing.assert_close(a, b, atol=1e-11, rtol=1e-11)
    ours = any(n.startswith("_") for n in names_in_graph(gradient))
    assert ours == (name not in LEFT_TO_TORCH), "which of the two computed it?"


def test_every_kernel_has_a_case():
    """A kernel replaced by one that always declines must be missed by the test above."""
    assert len(TABLE) == 18
    assert {k.__name__ for k in TABLE.values()} <= {
        *("run", "log_softmax", "cross_entropy", "tanh", "sigmoid", "gelu", "silu"),
        *("relu", "max_pool2d"),
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


class Checkpointed(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1)).double()

    def forward(self, x):
        return checkpoint(self.net, x, use_reentrant=False)


@pytest.mark.parametrize("make", [SlopeNet, Mapped, Checkpointed])
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
