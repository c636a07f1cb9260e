"""Patients at a saddle, on a plateau, or with units that cannot become different."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from diagkit.clinic.digits import digits
from diagkit.clinic.networks import Factorization, convnet
from diagkit.clinic.registry import admit
from diagkit.clinic.saddles import autoencoder_saddle
from diagkit.clinic.tables import table
from diagkit.clinic.trained import mlp, trained

CE = nn.CrossEntropyLoss()


@admit("autoencoder-saddle", "saddle-point")
def autoencoder_at_saddle(seed: int) -> dict[str, Any]:
    """A linear autoencoder that found the second, third and fourth direction of its data, not the first."""
    case = autoencoder_saddle((4.0, 2.0, 1.0, 0.5, 0.2, 0.1), kept=(1, 2, 3), width=4)
    sgd = torch.optim.SGD(case.model.parameters(), lr=0.02)
    return trained(case.model, case.loss_fn, case.data, sgd, seed=seed, batch_size=6, max_steps=100)


@admit("linear-network-saddle", "saddle-point", half="held-out")
def linear_network_saddle(seed: int) -> dict[str, Any]:
    """A two-layer linear network on a table at a stationary point that misses the strongest direction."""
    X, _ = table("wine")
    X = torch.linalg.qr(X)[0] * len(X) ** 0.5  # whitened: E x x^T = 1
    g = torch.Generator().manual_seed(seed)
    left, right = (torch.linalg.qr(torch.randn(n, 3, generator=g))[0] for n in (5, 13))
    strength = torch.tensor([2.0, 1.0, 0.5])
    Y = X @ right @ torch.diag(strength) @ left.T
    model = nn.Sequential(nn.Linear(13, 3, bias=False), nn.Linear(3, 5, bias=False))
    mix = torch.linalg.qr(torch.randn(3, 3, generator=g))[0]
    kept = torch.diag(torch.tensor([0.0, 1.0, 0.5**0.5]))
    into, out = model.parameters()
    with torch.no_grad():
        into.copy_(mix @ kept @ right.T)
        out.copy_(left @ kept @ mix.T)
    sgd = torch.optim.SGD(model.parameters(), lr=0.05)
    return trained(model, nn.MSELoss(), (X, Y), sgd, seed=seed, batch_size=178, max_steps=60)


@admit("factorization-saddle", "saddle-point", half="held-out")
def factorization_saddle(seed: int) -> dict[str, Any]:
    """Factors of a matrix of rank 3 that hold its two weaker directions only."""
    g = torch.Generator().manual_seed(seed)
    left, right = (torch.linalg.qr(torch.randn(n, 3, generator=g))[0] for n in (30, 20))
    values = torch.tensor([12.0, 8.0, 5.0])
    M = left @ torch.diag(values) @ right.T
    root = torch.diag(torch.tensor([0.0, 8.0**0.5, 5.0**0.5]))
    mix = torch.linalg.qr(torch.randn(3, 3, generator=g))[0]
    model = Factorization(left @ root @ mix, right @ root @ mix)
    sgd = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.5)
    rows = torch.arange(30)
    return trained(model, nn.MSELoss(), (rows, M), sgd, seed=seed, batch_size=30, max_steps=50)


@admit("equal-units", "symmetric-initialization")
def equal_units(seed: int) -> dict[str, Any]:
    """All weights were set to the same constant: 32 hidden units that move as one."""
    model = mlp(64, 32, 10, seed=seed)
    for p in model.parameters():
        nn.init.constant_(p, 0.1)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    return trained(model, CE, digits(), sgd, seed=seed, epochs=8)


@admit("zero-with-biases", "symmetric-initialization", half="held-out", also=("saddle-point",))
def zero_with_biases(seed: int) -> dict[str, Any]:
    """Weights and biases of a tanh network are zero, with Adam: only the last bias learns."""
    model = mlp(13, 16, 3, activation=nn.Tanh, seed=seed)
    for p in model.parameters():
        nn.init.zeros_(p)
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    return trained(model, CE, table("wine"), adam, seed=seed, epochs=20)


@admit("constant-filters", "symmetric-initialization", half="held-out")
def constant_filters(seed: int) -> dict[str, Any]:
    """The filters of a convolutional network were filled with one number."""
    model = convnet(seed, norm=False)
    for p in model.parameters():
        nn.init.constant_(p, 0.02)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return trained(model, CE, digits(images=True), sgd, seed=seed, epochs=4)


@admit("dead-units", "dead-units", also=("gradient-flat",))
def dead_units(seed: int) -> dict[str, Any]:
    """Biases far below zero: no example activates a hidden unit."""
    model = mlp(64, 32, 10, seed=seed)
    nn.init.constant_(model[0].bias, -20.0)  # type: ignore[arg-type]
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    return trained(model, CE, digits(), sgd, seed=seed, epochs=5)


@admit("saturated-output", "saturated-units", half="held-out", also=("gradient-flat",))
def saturated_output(seed: int) -> dict[str, Any]:
    """Squared error after a sigmoid that starts far out on its flat end, on the wrong side."""
    model = mlp(30, 16, 1, activation=nn.Tanh, seed=seed)
    nn.init.constant_(model[2].bias, -14.0)  # type: ignore[arg-type]
    model.append(nn.Sigmoid())
    X, y = table("breast_cancer")
    sgd = torch.optim.SGD(model.parameters(), lr=0.5)
    return trained(model, nn.MSELoss(), (X, y[:, None].float()), sgd, seed=seed, epochs=15)


@admit("saturated-hidden", "saturated-units", half="held-out", also=("gradient-flat",))
def saturated_hidden(seed: int) -> dict[str, Any]:
    """All sigmoid units of the second layer are closed, so that nothing of the input comes through."""
    model = mlp(30, 24, 12, 2, activation=nn.Sigmoid, seed=seed)
    nn.init.constant_(model[2].bias, -25.0)  # type: ignore[arg-type]
    adam = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
    return trained(model, CE, table("breast_cancer"), adam, seed=seed, epochs=15)
