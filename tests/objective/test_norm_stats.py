"""BatchNorm: the function of evaluation, or that of training, differentiated through the batch statistics."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import diagkit as dk
from oracles import finite_difference_gradient, finite_difference_hvp, randn

X, Y = randn(20, 4) * 3 + 1, torch.arange(20) % 3


def net():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Dropout(0.5), nn.Linear(5, 3)
        return nn.Sequential(*layers).double()


def by_hand(model, x):
    h = model[0](x)
    h = (h - h.mean(dim=0)) / (h.var(dim=0, unbiased=False) + model[1].eps).sqrt()
    return model[4](torch.tanh(h * model[1].weight + model[1].bias))


@pytest.mark.parametrize("batch_size", [None, 10])
def test_batch_statistics_are_differentiated_through(batch_size):
    model = net()
    buffers = {n: b.clone() for n, b in model.named_buffers()}
    obj = dk.Objective(model, nn.CrossEntropyLoss(), (X, Y), norm_stats="batch", batch_size=batch_size)
    if batch_size is None:
        assert obj.loss() == pytest.approx(F.cross_entropy(by_hand(model, X), Y).item(), rel=1e-10)
    v = randn(obj.num_params, seed=2)
    torch.testing.assert_close(obj.gradient(), finite_difference_gradient(obj), atol=1e-8, rtol=1e-6)
    torch.testing.assert_close(obj.hvp(v), finite_difference_hvp(obj, v), atol=1e-6, rtol=1e-6)
    H = obj.hvp(torch.eye(obj.num_params, dtype=torch.float64))
    torch.testing.assert_close(H, H.T, atol=1e-13, rtol=0.0)
    for name, buffer in model.named_buffers():
        assert torch.equal(buffer, buffers[name])


def test_scale_of_the_weights_before_the_layer_does_not_matter():
    """w . dL/dw = 0 under batch statistics (up to the layer's eps), not under running ones."""
    model = net()
    model[1].eps = 1e-30
    for stats, flat in [("batch", True), ("running", False)]:
        obj = dk.Objective(model, nn.CrossEntropyLoss(), (X, Y), norm_stats=stats, params="0")
        assert (abs(float(obj.theta @ obj.gradient())) < 1e-12) is flat


def test_running_statistics_are_those_of_evaluation_and_said_so():
    model = net().train()
    obj = dk.Objective(model, nn.CrossEntropyLoss(), (X, Y))
    assert any("running statistics" in note for note in obj.notes)
    assert obj.loss() == pytest.approx(F.cross_entropy(net().eval()(X), Y).item(), rel=1e-12)
    assert any(
        "batch statistics" in n
        for n in dk.Objective(model, nn.CrossEntropyLoss(), (X, Y), norm_stats="batch").notes
    )


def test_dropout_is_off_under_batch_statistics_too():
    obj = dk.Objective(net(), nn.CrossEntropyLoss(), (X, Y), norm_stats="batch")
    assert obj.loss() == obj.loss()
    assert not any("random" in note for note in obj.notes)


def test_one_example_has_no_batch_statistics():
    with pytest.raises(dk.InputError, match="two examples or more"):
        dk.Objective(net(), nn.CrossEntropyLoss(), (X[:1], Y[:1]), norm_stats="batch")


def test_gradient_noise_is_refused_under_batch_statistics():
    obj = dk.Objective(net(), nn.CrossEntropyLoss(), (X, Y), norm_stats="batch")
    with pytest.raises(dk.InputError, match=r"norm_stats='batch'.*running"):
        dk.gradient_noise(obj)
