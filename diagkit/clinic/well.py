"""Healthy runs of fully connected networks, finished or under way: a diagnosis must let them go."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from diagkit.clinic.digits import digits
from diagkit.clinic.registry import admit
from diagkit.clinic.tables import linear_data, table
from diagkit.clinic.trained import mlp, trained

CE, MSE = nn.CrossEntropyLoss(), nn.MSELoss()


@admit("short-run", "still-improving", also=("healthy",))
def short_run(seed: int) -> dict[str, Any]:
    """Two epochs of SGD on digits: on its way."""
    model = mlp(64, 32, 10, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.05)
    return trained(model, CE, digits(), sgd, seed=seed, epochs=2)


@admit("regression-converged", "converged", also=("healthy",))
def regression_converged(seed: int) -> dict[str, Any]:
    """Linear regression at its minimum, which is the variance of the noise."""
    model = mlp(10, 1, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.05)
    data = linear_data(1000, 10, 0.5, seed)
    return trained(model, MSE, data, sgd, seed=seed, batch_size=256, epochs=40)


@admit("diabetes-converged", "converged", half="held-out", also=("healthy",))
def diabetes_converged(seed: int) -> dict[str, Any]:
    """Linear regression at a minimum whose loss is half the variance of the targets."""
    model = mlp(10, 1, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return trained(model, MSE, table("diabetes"), sgd, seed=seed, batch_size=442, epochs=1500)


@admit("digits-adam", "healthy")
def digits_adam(seed: int) -> dict[str, Any]:
    """Adam at its default rate."""
    model = mlp(64, 32, 10, seed=seed)
    adam = torch.optim.Adam(model.parameters())
    return trained(model, CE, digits(), adam, seed=seed, epochs=20)


@admit("dropout-adamw", "healthy")
def dropout_adamw(seed: int) -> dict[str, Any]:
    """Dropout of one half, AdamW."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.5), nn.Linear(64, 10))
    adamw = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    return trained(model, CE, digits(), adamw, seed=seed, epochs=15)


@admit("label-noise", "healthy")
def label_noise(seed: int) -> dict[str, Any]:
    """A fifth of the labels is random: the loss ends far from zero, as it should."""
    X, y = digits()
    g = torch.Generator().manual_seed(seed)
    wrong = torch.rand(len(y), generator=g) < 0.2
    y = torch.where(wrong, torch.randint(0, 10, (len(y),), generator=g), y)
    model = mlp(64, 16, 10, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=2e-3)
    return trained(model, CE, (X, y), adam, seed=seed, epochs=15)


@admit("cosine-finished", "healthy")
def cosine_finished(seed: int) -> dict[str, Any]:
    """A cosine schedule at its end: the rate is next to nothing because the work is done."""
    model = mlp(64, 32, 10, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    cosine = CosineAnnealingLR(sgd, T_max=57 * 15)
    return trained(model, CE, digits(), sgd, seed=seed, epochs=15, scheduler=cosine)


@admit("regression-decayed", "healthy")
def regression_decayed(seed: int) -> dict[str, Any]:
    """Noisy regression in small batches, the rate decayed by cosine: at the floor of the noise."""
    model = mlp(10, 1, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    data = linear_data(1000, 10, 1.0, seed)
    cosine = CosineAnnealingLR(sgd, T_max=125 * 10, eta_min=1e-4)
    return trained(model, MSE, data, sgd, seed=seed, batch_size=8, epochs=10, scheduler=cosine)


@admit("iris-sgd", "healthy")
def iris_sgd(seed: int) -> dict[str, Any]:
    """A small network on the iris flowers, trained with plain SGD."""
    model = mlp(4, 16, 3, activation=nn.Tanh, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    return trained(model, CE, table("iris"), sgd, seed=seed, batch_size=16, epochs=100)


@admit("sine-regression", "healthy")
def sine_regression(seed: int) -> dict[str, Any]:
    """A tanh network fits a sine with noise, Adam with an exponential decay."""
    g = torch.Generator().manual_seed(seed)
    X = 6 * torch.rand(400, 1, generator=g) - 3
    y = torch.sin(X) + 0.1 * torch.randn(400, 1, generator=g)
    model = mlp(1, 32, 1, activation=nn.Tanh, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    decay = torch.optim.lr_scheduler.ExponentialLR(adam, 0.998)
    return trained(model, MSE, (X, y), adam, seed=seed, epochs=100, scheduler=decay)


@admit("autoencoder-rmsprop", "healthy")
def autoencoder_rmsprop(seed: int) -> dict[str, Any]:
    """A tanh autoencoder of the digits with RMSprop: a bottleneck keeps its loss above zero."""
    X, _ = digits()
    model = mlp(64, 16, 64, activation=nn.Tanh, seed=seed)
    rmsprop = torch.optim.RMSprop(model.parameters(), lr=1e-3)
    return trained(model, MSE, (X, X), rmsprop, seed=seed, epochs=30)


@admit("cancer-momentum", "healthy", half="held-out")
def cancer_momentum(seed: int) -> dict[str, Any]:
    """Breast cancer table, SGD with Nesterov momentum."""
    model = mlp(30, 16, 2, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9, nesterov=True)
    return trained(model, CE, table("breast_cancer"), sgd, seed=seed, epochs=30)


@admit("wine-adamw", "healthy", half="held-out")
def wine_adamw(seed: int) -> dict[str, Any]:
    """Wine table, AdamW."""
    model = mlp(13, 16, 3, seed=seed)
    adamw = torch.optim.AdamW(model.parameters(), lr=5e-3)
    return trained(model, CE, table("wine"), adamw, seed=seed, batch_size=16, epochs=40)


@admit("diabetes-adam", "healthy", half="held-out")
def diabetes_adam(seed: int) -> dict[str, Any]:
    """Diabetes table: half of the variance cannot be explained, and the run has found the other half."""
    model = mlp(10, 8, 1, activation=nn.Tanh, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    return trained(model, MSE, table("diabetes"), adam, seed=seed, epochs=40)
