"""Networks that differ between training and evaluation, by BatchNorm or dropout: too much, or as meant."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from diagkit.clinic.digits import digits
from diagkit.clinic.networks import convnet
from diagkit.clinic.registry import admit
from diagkit.clinic.tables import table, waves
from diagkit.clinic.trained import mlp, trained
from diagkit.clinic.units import WaveConvolutions

CE, MSE = nn.CrossEntropyLoss(), nn.MSELoss()


def with_layers(*widths: int, extra: Any, seed: int) -> nn.Sequential:
    """A ReLU network with a further layer, made by ``extra(width)``, in front of each activation."""
    layers: list[nn.Module] = []
    for layer in mlp(*widths, seed=seed):
        layers += [extra(layers[-1].out_features), layer] if isinstance(layer, nn.ReLU) else [layer]
    return nn.Sequential(*layers)


@admit("norm-lags", "normalization-mismatch")
def norm_lags(seed: int) -> dict[str, Any]:
    """BatchNorm with a momentum of 0.001, a slip for 0.999 elsewhere: the averages have hardly begun."""
    model = convnet(seed)
    for layer in model:
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 0.001
    sgd = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return trained(model, CE, digits(images=True), sgd, seed=seed, epochs=6)


@admit("norm-of-old-data", "normalization-mismatch", half="held-out")
def norm_of_old_data(seed: int) -> dict[str, Any]:
    """Running statistics kept from data in other units (momentum 0); training itself goes well."""
    model = with_layers(13, 32, 32, 3, extra=nn.BatchNorm1d, seed=seed)
    for layer in model:
        if isinstance(layer, nn.BatchNorm1d):
            layer.running_mean, layer.running_var = torch.full((32,), 4.0), torch.full((32,), 50.0)
            layer.momentum = 0.0
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    return trained(model, CE, table("wine"), adam, seed=seed, epochs=40)


@admit("norm-in-small-batches", "healthy")
def norm_in_small_batches(seed: int) -> dict[str, Any]:
    """BatchNorm in batches of eight: noisy, and well."""
    model = with_layers(64, 48, 48, 10, extra=nn.BatchNorm1d, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    return trained(model, CE, digits(), sgd, seed=seed, batch_size=8, epochs=8)


@admit("norm-has-begun", "still-improving", also=("healthy",))
def norm_has_begun(seed: int) -> dict[str, Any]:
    """Twelve steps: the running averages are still on their way, as is everything else."""
    model = convnet(seed)
    adam = torch.optim.Adam(model.parameters(), lr=2e-3)
    return trained(model, CE, digits(images=True), adam, seed=seed, max_steps=12)


@admit("norm-of-waves", "healthy", half="held-out")
def norm_of_waves(seed: int) -> dict[str, Any]:
    """Convolutions along sequences with BatchNorm, SGD at a lively rate."""
    torch.manual_seed(seed)
    model = WaveConvolutions(norm=True)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return trained(model, CE, waves(512, seed), sgd, seed=seed, epochs=20)


@admit("dropout-nine-tenths", "dropout-too-strong")
def dropout_nine_tenths(seed: int) -> dict[str, Any]:
    """Dropout of 0.95 on two narrow layers: a keep probability where a drop probability is asked for."""
    model = with_layers(64, 32, 32, 10, extra=lambda width: nn.Dropout(0.95), seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=2e-3)
    return trained(model, CE, digits(), adam, seed=seed, epochs=30)


@admit("dropout-before-regression", "dropout-too-strong", half="held-out")
def dropout_before_regression(seed: int) -> dict[str, Any]:
    """Nine tenths of every layer dropped in a regression on sequences."""
    X, _ = waves(512, seed)
    model = nn.Sequential(
        nn.Flatten(), *with_layers(20, 24, 24, 1, extra=lambda w: nn.Dropout(0.9), seed=seed)
    )
    y = X[:, -5:].sum((1, 2))[:, None] / 3
    adam = torch.optim.Adam(model.parameters(), lr=2e-3)
    return trained(model, MSE, (X, y), adam, seed=seed, epochs=60)


@admit("dropout-as-it-should-be", "healthy", half="held-out")
def dropout_as_it_should_be(seed: int) -> dict[str, Any]:
    """Dropout of one half: the loss in training is twice that of evaluation, and that is its purpose."""
    model = with_layers(30, 48, 48, 2, extra=lambda width: nn.Dropout(0.5), seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=2e-3)
    return trained(model, CE, table("breast_cancer"), adam, seed=seed, epochs=40)
