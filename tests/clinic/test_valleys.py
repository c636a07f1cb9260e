"""Valleys: lowest loss 0 inside the window, curvature as stated, own models seen as they are."""

import numpy as np
import pytest
import torch
from torch import nn

import diagkit as dk
from diagkit.clinic import VALLEYS, valley, valley_through
from oracles import dense_hessian, digits

LOWEST = {
    "quadratic": [(0, 0)],
    "straight walls": [(0, 0)],
    "banana": [(1, 1)],
    "saddle": [(1, 0), (-1, 0)],
    "two factors": [(2, 0.5), (1, 1)],
}


@pytest.mark.parametrize("name", VALLEYS)
def test_the_lowest_points_are_where_they_should_be(name):
    shown = valley(name)
    obj = shown.objective()
    for point in LOWEST[name]:
        assert obj.loss(list(point)) == 0.0
        assert obj.gradient(list(point)).abs().max() == 0.0
        assert torch.linalg.eigvalsh(obj.hessian(list(point)))[0] > -1e-12
        assert np.abs(np.array(point) - shown.centre).max() < shown.extent
    assert np.abs(np.array(shown.start) - shown.centre).max() < shown.extent
    assert obj.theta.tolist() == list(shown.start)


@pytest.mark.parametrize(
    ("name", "point", "spectrum"),
    [
        ("quadratic", (2.0, 3.0), (1, 10)),
        ("straight walls", (1.0, 0.0), (1, 10)),
        ("straight walls", (0.0, 3**0.5), (1, 1.25)),
        ("banana", (1.0, 1.0), (26 - 656**0.5, 26 + 656**0.5)),
        ("saddle", (0.0, 0.0), (-1, 4)),
        ("two factors", (2.0, 0.5), (0, 4.25)),
    ],
)
def test_curvatures(name, point, spectrum):
    found = torch.linalg.eigvalsh(valley(name).objective().hessian(list(point)))
    np.testing.assert_allclose(found, sorted(spectrum), atol=1e-12)


def test_a_network_is_seen_in_its_two_steepest_directions():
    torch.manual_seed(0)
    X, y = (part[:100] for part in digits())
    X, loss_fn = X.double(), nn.CrossEntropyLoss()
    net = nn.Sequential(nn.Linear(64, 3), nn.Tanh(), nn.Linear(3, 10)).double()
    before = [p.detach().clone() for p in net.parameters()]
    obj = valley_through(net, loss_fn, (X, y), extent=2.0).objective()
    largest = np.linalg.eigvalsh(dense_hessian(net, loss_fn, (X, y)))[-2:]
    np.testing.assert_allclose(np.linalg.eigvalsh(obj.hessian()), largest, rtol=1e-4)
    np.testing.assert_allclose(obj.loss(), loss_fn(net(X), y).item(), rtol=1e-12)
    dk.descent_path(obj, lambda p: torch.optim.SGD(p, lr=0.1), steps=3)
    assert all(torch.equal(p, q) and p.requires_grad for p, q in zip(net.parameters(), before, strict=True))


def test_two_parameters_are_taken_as_they_are():
    net = nn.Linear(1, 1)
    seen = valley_through(net, nn.MSELoss(), (torch.ones(4, 1), torch.zeros(4, 1)))
    assert seen.model is net
    assert seen.start == seen.centre == (net.weight.item(), net.bias.item())


def test_what_is_no_valley_is_refused():
    with pytest.raises(dk.InputError, match="quadratic"):
        valley("canyon")
    with pytest.raises(dk.InputError, match="two or more"):
        valley_through(nn.Linear(1, 1, bias=False), nn.MSELoss(), (torch.ones(4, 1), torch.zeros(4, 1)))
