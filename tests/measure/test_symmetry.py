"""Models whose Hessian products are silently wrong, and such that are right."""

import pytest
import torch
from torch import nn

import diagkit as dk
from oracles import digits, digits_objective, exact_cases, tanh_net_on_digits

DTYPES = pytest.mark.parametrize("dtype", [torch.float64, torch.float32])


class TanhWithWrongSecondDerivative(torch.autograd.Function):
    """The first derivative is right: training with it works."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.tanh(x)

    @staticmethod
    def backward(ctx, g):
        return _TanhBackward.apply(ctx.saved_tensors[0], g)


class _TanhBackward(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, g):
        ctx.save_for_backward(x, g)
        return g * (1 - torch.tanh(x) ** 2)

    @staticmethod
    def backward(ctx, v):
        x, g = ctx.saved_tensors
        slope = 1 - torch.tanh(x) ** 2
        return -2 * v * g * torch.tanh(x) * slope, 2 * v * slope  # the 2 in the second does not belong there


class NormalizationWithFrozenNorm(torch.autograd.Function):
    """The backward forgets that the norm depends on x."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x / x.norm(dim=1, keepdim=True)

    @staticmethod
    def backward(ctx, g):
        return g / ctx.saved_tensors[0].norm(dim=1, keepdim=True)


class ClippedGradient(nn.Module):
    def forward(self, x):
        out = torch.tanh(x)
        if out.requires_grad:
            out.register_hook(lambda g: g.clamp(-1e-4, 1e-4))
        return out


class Calls(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function.apply(x)


WRONG = {
    "wrong second derivative": lambda: Calls(TanhWithWrongSecondDerivative),
    "frozen norm": lambda: Calls(NormalizationWithFrozenNorm),
    "clipped gradient": ClippedGradient,
}


def objective(middle, dtype=torch.float64):
    X, y = digits()
    net = nn.Sequential(nn.Linear(64, 12), middle, nn.Linear(12, 10)).to(dtype)
    return dk.Objective(net, nn.CrossEntropyLoss(), (X[:100].to(dtype), y[:100]))


@DTYPES
@pytest.mark.parametrize("name", WRONG)
def test_seen(name, dtype):
    obj = objective(WRONG[name](), dtype)
    for seed in range(3):
        check = dk.check_symmetry(obj, seed=seed)
        assert not check.symmetric
        assert check.asymmetry > 100 * check.allowed
        assert check.num_hvps == 3
        assert "gradgradcheck" in check.explanation
    assert not dk.check_symmetry(obj, products=2).symmetric


@pytest.mark.parametrize("name", WRONG)
def test_nothing_is_claimed_from_such_products(name):
    obj = objective(WRONG[name]())
    answer = dk.certify_no_curvature_below(obj, 0.01)
    assert answer.verdict == "undecided"
    assert "Not symmetric" in answer.explanation
    point = dk.classify_critical_point(obj, max_hvps=20)
    assert point.verdict == "undecided"
    assert "Not symmetric" in point.explanation


@DTYPES
def test_no_false_alarm(dtype):
    layers = [layer for _ in range(8) for layer in (nn.Linear(12, 12), nn.GELU())]
    objectives = [
        digits_objective(dtype),
        tanh_net_on_digits(4, dtype).objective(),
        objective(nn.Sequential(*layers), dtype),
        objective(nn.Softmax(dim=1), dtype),
        objective(nn.LayerNorm(12), dtype),
    ]
    for obj in objectives:
        for seed in range(3):
            check = dk.check_symmetry(obj, products=5, seed=seed)
            assert check.symmetric
            assert check.asymmetry <= check.allowed / 4, "the allowance is not tight"


@pytest.mark.parametrize("case", exact_cases()[::4], ids=lambda c: c.name)
def test_exact_cases_are_symmetric(case):
    check = dk.check_symmetry(case.objective())
    assert check.symmetric
    assert check.num_hvps <= 3
