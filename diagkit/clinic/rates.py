"""Patients whose steps are too long, too short, or too noisy."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from diagkit.clinic.digits import digits
from diagkit.clinic.networks import SequenceClassifier, convnet
from diagkit.clinic.registry import admit
from diagkit.clinic.tables import linear_data, table, waves
from diagkit.clinic.trained import mlp, trained

CE = nn.CrossEntropyLoss()


@admit("steep-valley", "learning-rate-too-large", also=("inputs-unscaled",))
def steep_valley(seed: int) -> dict[str, Any]:
    """Linear regression, one input ten times the others: full-batch steps just beyond 2 / sharpness."""
    X, y = linear_data(1000, 10, 0.5, seed)
    X[:, -1] *= 10
    model = mlp(10, 1, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.0105)
    return trained(model, nn.MSELoss(), (X, y), sgd, seed=seed, batch_size=1000, max_steps=40)


@admit("adam-too-fast", "learning-rate-too-large", half="held-out")
def adam_too_fast(seed: int) -> dict[str, Any]:
    """Adam at a rate of 3 on a network of three layers."""
    model = mlp(30, 32, 32, 2, activation=nn.Tanh, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=3.0)
    return trained(model, CE, table("breast_cancer"), adam, seed=seed, epochs=15)


@admit("lstm-too-fast", "learning-rate-too-large", half="held-out")
def lstm_too_fast(seed: int) -> dict[str, Any]:
    """An LSTM with SGD and momentum at a rate of 8."""
    torch.manual_seed(seed)
    model = SequenceClassifier()
    sgd = torch.optim.SGD(model.parameters(), lr=8.0, momentum=0.9)
    return trained(model, CE, waves(512, seed), sgd, seed=seed, epochs=12)


@admit("sgd-crawls", "learning-rate-too-small")
def sgd_crawls(seed: int) -> dict[str, Any]:
    """SGD at a rate of 1e-5: ten epochs without visible progress."""
    model = mlp(64, 32, 10, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=1e-5)
    return trained(model, CE, digits(), sgd, seed=seed, epochs=10)


@admit("adam-crawls", "learning-rate-too-small", half="held-out")
def adam_crawls(seed: int) -> dict[str, Any]:
    """Adam at a rate of 1e-6."""
    model = mlp(30, 16, 2, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=1e-6)
    return trained(model, CE, table("breast_cancer"), adam, seed=seed, epochs=30)


@admit("convnet-crawls", "learning-rate-too-small", half="held-out")
def convnet_crawls(seed: int) -> dict[str, Any]:
    """A convolutional network with SGD and momentum at a rate of 1e-5."""
    model = convnet(seed)
    sgd = torch.optim.SGD(model.parameters(), lr=1e-5, momentum=0.9)
    return trained(model, CE, digits(images=True), sgd, seed=seed, epochs=4)


@admit("regression-hovers", "noise-floor")
def regression_hovers(seed: int) -> dict[str, Any]:
    """Linear regression in batches of two at a high constant rate."""
    model = mlp(10, 1, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.12)
    return trained(
        model, nn.MSELoss(), linear_data(1000, 10, 0.5, seed), sgd, seed=seed, batch_size=2, epochs=20
    )


@admit("momentum-hovers", "noise-floor", also=("learning-rate-too-large",))
def momentum_hovers(seed: int) -> dict[str, Any]:
    """A digits network at a rate that batches of 32 are too noisy for, though the full gradient is not."""
    model = mlp(64, 32, 10, activation=nn.Tanh, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=2.0, momentum=0.9)
    return trained(model, CE, digits(), sgd, seed=seed, max_steps=600)


@admit("diabetes-hovers", "noise-floor", half="held-out")
def diabetes_hovers(seed: int) -> dict[str, Any]:
    """Noisy targets, single examples, a constant rate: the loss wanders above what the data allow."""
    model = mlp(10, 1, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.04)
    return trained(model, nn.MSELoss(), table("diabetes"), sgd, seed=seed, batch_size=1, epochs=8)
