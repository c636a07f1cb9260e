"""The loss of knowing nothing."""

import math

import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.diagnosis.baseline import constant_prediction_loss


def baseline(model, loss_fn, data, **options):
    obj = dk.Objective(model, loss_fn, data, **options)
    with obj.quiet():
        return constant_prediction_loss(model, loss_fn, obj.batches)


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("scale", [0.1, 100.0])
def test_equal_classes_give_ln_k(classes, scale):
    torch.manual_seed(0)
    model = nn.Linear(4, classes)
    model.weight.data.mul_(scale)
    data = (torch.randn(10 * classes, 4), torch.arange(10 * classes) % classes)
    assert baseline(model, nn.CrossEntropyLoss(), data) == pytest.approx(math.log(classes), rel=1e-5)


def test_unequal_classes_give_their_entropy():
    y = torch.tensor([0] * 90 + [1] * 10)
    data = (torch.randn(100, 4), y)
    expected = -0.9 * math.log(0.9) - 0.1 * math.log(0.1)
    assert baseline(nn.Linear(4, 2), nn.CrossEntropyLoss(), data) == pytest.approx(expected, rel=1e-4)


def test_squared_error_gives_the_variance():
    g = torch.Generator().manual_seed(0)
    y = 7 + 3 * torch.randn(101, 1, generator=g)
    data = (torch.randn(101, 4, generator=g), y)
    found = baseline(nn.Linear(4, 1), nn.MSELoss(), data, batch_size=10)
    assert found == pytest.approx(float(y.var(unbiased=False)), rel=1e-4)


def test_outputs_that_are_no_tensor():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 1)

        def forward(self, x):
            return self.linear(x), x

    loss = lambda out, y: ((out[0] - y) ** 2).mean()  # noqa: E731
    assert baseline(Two(), loss, (torch.randn(8, 4), torch.randn(8, 1))) is None


def test_a_step_function_has_none():
    step = lambda model, batch: (model(batch["x"]) ** 2).mean()  # noqa: E731
    report = dk.diagnose(nn.Linear(4, 1), None, [{"x": torch.randn(8, 4)}], step=step, budget=5)
    assert report.baseline is None
