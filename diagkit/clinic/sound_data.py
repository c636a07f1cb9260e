"""Healthy runs on data that look like a fault: raw units, order, counts, rare classes, a smoothed log."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from diagkit.clinic.data_faults import as_they_come, held_back
from diagkit.clinic.digits import digits
from diagkit.clinic.networks import SequenceClassifier
from diagkit.clinic.registry import admit
from diagkit.clinic.table_faults import raw_table
from diagkit.clinic.tables import linear_data, table, waves
from diagkit.clinic.trained import mlp, trained
from diagkit.training import History

CE, MSE = nn.CrossEntropyLoss(), nn.MSELoss()


@admit("iris-in-raw-units", "healthy")
def iris_in_raw_units(seed: int) -> dict[str, Any]:
    """Flowers in centimetres as measured: off centre, and well learned all the same."""
    model = mlp(4, 32, 3, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    return trained(model, CE, raw_table("iris"), adam, seed=seed, batch_size=16, epochs=60)


@admit("counts-regressed", "healthy")
def counts_regressed(seed: int) -> dict[str, Any]:
    """Whole numbers from 0 to 9 that grow with the inputs: counts, not classes."""
    X, y = linear_data(800, 10, 0.2, seed)
    rank = y[:, 0].argsort().argsort()
    counts = (10 * rank // len(y))[:, None].float()
    model = mlp(10, 32, 1, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    return trained(model, MSE, (X, counts), adam, seed=seed, epochs=40)


@admit("rare-but-learned", "healthy")
def rare_but_learned(seed: int) -> dict[str, Any]:
    """One image in sixty shows an eight, and the network finds them."""
    X, y = digits()
    kept = torch.cat([(y != 8).nonzero()[:, 0], (y == 8).nonzero()[:27, 0]])
    model = mlp(64, 32, 2, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    return trained(model, CE, (X[kept], (y[kept] == 8).long()), adam, seed=seed, epochs=25)


@admit("classes-weighted", "healthy")
def classes_weighted(seed: int) -> dict[str, Any]:
    """A sampler that shows rare classes more often, as it should."""
    X, y = digits()
    kept = torch.cat([(y != 8).nonzero()[:, 0], (y == 8).nonzero()[:27, 0]])
    X, y = X[kept], (y[kept] == 8).long()
    weights = (1.0 / torch.bincount(y).double())[y]
    generator = torch.Generator().manual_seed(seed)
    sampler = WeightedRandomSampler(weights, len(X), generator=generator)  # type: ignore[arg-type]
    model = mlp(64, 32, 2, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=2e-3)
    return as_they_come(model, CE, DataLoader(TensorDataset(X, y), batch_size=32, sampler=sampler), adam, 12)


@admit("digits-with-validation", "healthy")
def digits_with_validation(seed: int) -> dict[str, Any]:
    """Validation data from the same source, a little harder than the training data as always."""
    train, val = held_back(digits(), 0.3, seed)
    model = mlp(64, 32, 10, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=2e-3)
    return trained(model, CE, (train[0], train[1]), adam, seed=seed, epochs=15) | {"val_data": tuple(val)}


@admit("smoothed-log", "healthy")
def smoothed_log(seed: int) -> dict[str, Any]:
    """The log holds the mean of all losses so far, which lags far behind the loss."""
    model = mlp(64, 32, 10, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=2e-3)
    parts = trained(model, CE, digits(), adam, seed=seed, epochs=15)
    losses = torch.tensor(parts["history"].loss)
    means = losses.cumsum(0) / torch.arange(1, len(losses) + 1)
    return parts | {"history": History.from_dict({"loss": means.tolist()})}


@admit("wine-sorted-full-batch", "healthy", half="held-out")
def wine_sorted_full_batch(seed: int) -> dict[str, Any]:
    """A table sorted by class, in one batch: its order does not matter."""
    model = mlp(13, 16, 3, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return trained(model, CE, table("wine"), sgd, seed=seed, batch_size=178, epochs=120)


@admit("wine-with-validation", "healthy", half="held-out")
def wine_with_validation(seed: int) -> dict[str, Any]:
    """Few validation examples, whose statistics differ by chance."""
    train, val = held_back(table("wine"), 0.25, seed)
    model = mlp(13, 16, 3, activation=nn.Tanh, seed=seed)
    adamw = torch.optim.AdamW(model.parameters(), lr=5e-3)
    return trained(model, CE, (train[0], train[1]), adamw, seed=seed, epochs=30) | {"val_data": tuple(val)}


@admit("grades-regressed", "healthy", half="held-out")
def grades_regressed(seed: int) -> dict[str, Any]:
    """Six grades of a disease, in their order, by squared error: half cannot be explained, as always here."""
    X, y = table("diabetes")
    grades = (6 * y[:, 0].argsort().argsort() // len(y))[:, None].float()
    model = mlp(10, 8, 1, activation=nn.Tanh, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    return trained(model, MSE, (X, grades), adam, seed=seed, epochs=60)


@admit("some-silence", "healthy", half="held-out")
def some_silence(seed: int) -> dict[str, Any]:
    """One recording in a hundred is silent; the others are told apart."""
    X, y = waves(512, seed)
    X[:5] = 0.0
    torch.manual_seed(seed)
    model = SequenceClassifier()
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    return trained(model, CE, (X, y), adam, seed=seed, epochs=25)
