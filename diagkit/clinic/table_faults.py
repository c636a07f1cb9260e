"""Held-out patients whose data are at fault: tables in raw units, waves, words, clusters."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, SubsetRandomSampler, TensorDataset

from diagkit.clinic.data_faults import as_they_come, held_back, in_batches, with_losses_times
from diagkit.clinic.digits import sklearn_datasets
from diagkit.clinic.networks import SequenceClassifier
from diagkit.clinic.registry import admit
from diagkit.clinic.tables import table, waves
from diagkit.clinic.trained import mlp, trained

CE, MSE = nn.CrossEntropyLoss(), nn.MSELoss()


def raw_table(name: str) -> tuple[Tensor, Tensor]:
    """A table of scikit-learn in its own units."""
    data = getattr(sklearn_datasets(f"the {name} data set"), f"load_{name}")()
    return torch.tensor(data.data).float(), torch.tensor(data.target)


@admit("silent-recordings", "inputs-corrupt", half="held-out")
def silent_recordings(seed: int) -> dict[str, Any]:
    """Two recordings in five are silent from beginning to end."""
    X, y = waves(512, seed)
    g = torch.Generator().manual_seed(seed)
    X[torch.rand(len(X), generator=g) < 0.4] = 0.0
    torch.manual_seed(seed)
    model = SequenceClassifier()
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    return trained(model, CE, (X, y), adam, seed=seed, epochs=20)


@admit("wine-in-raw-units", "inputs-unscaled", half="held-out")
def wine_in_raw_units(seed: int) -> dict[str, Any]:
    """Thirteen measurements in their own units, one of them near 750."""
    model = mlp(13, 16, 3, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    return trained(model, CE, raw_table("wine"), sgd, seed=seed, batch_size=16, epochs=40)


@admit("diabetes-in-raw-units", "targets-unscaled", half="held-out", also=("learning-rate-too-small",))
def diabetes_in_raw_units(seed: int) -> dict[str, Any]:
    """Targets from 25 to 346, RMSprop at a small rate: the predictions creep up from 0."""
    X, _ = table("diabetes")
    y = raw_table("diabetes")[1].float()[:, None]
    model = mlp(10, 16, 1, activation=nn.Tanh, seed=seed)
    rmsprop = torch.optim.RMSprop(model.parameters(), lr=1e-3)
    return trained(model, MSE, (X, y), rmsprop, seed=seed, epochs=40)


@admit("clusters-as-numbers", "labels-as-numbers", half="held-out")
def clusters_as_numbers(seed: int) -> dict[str, Any]:
    """Eight clusters without an order, their numbers predicted by a small network with squared error."""
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 8, (800,), generator=g)
    centres = 2.0 * torch.randn(8, 5, generator=g)
    X = centres[y] + 0.5 * torch.randn(800, 5, generator=g)
    model = mlp(5, 6, 1, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    return trained(model, MSE, (X, y[:, None].float()), adam, seed=seed, epochs=40)


@admit("labels-two-late", "labels-mismatched", half="held-out")
def labels_two_late(seed: int) -> dict[str, Any]:
    """Two rows were dropped from the measurements and not from the diagnoses."""
    X, y = table("breast_cancer")
    model = mlp(30, 16, 2, activation=nn.Tanh, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.05)
    return trained(model, CE, (X, y.roll(-2)), sgd, seed=seed, epochs=15)


@admit("shuffled-apart", "labels-mismatched", half="held-out", also=("overfitting",))
def shuffled_apart(seed: int) -> dict[str, Any]:
    """Training inputs were shuffled without their labels; the validation data were not."""
    data, val = held_back(waves(700, seed), 0.3, seed)
    g = torch.Generator().manual_seed(seed + 1)
    mixed = (data[0][torch.randperm(len(data[0]), generator=g)], data[1])
    torch.manual_seed(seed)
    model = SequenceClassifier()
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    return trained(model, CE, mixed, adam, seed=seed, epochs=6) | {"val_data": tuple(val)}


@admit(
    "recordings-in-order",
    "data-not-shuffled",
    half="held-out",
    also=("learning-rate-too-large", "noise-floor"),
)
def recordings_in_order(seed: int) -> dict[str, Any]:
    """Recordings of one class after the other: the LSTM learns each and forgets the last."""
    X, y = waves(510, seed)
    order = y.argsort(stable=True)
    torch.manual_seed(seed)
    model = SequenceClassifier()
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    return as_they_come(model, CE, in_batches(X[order], y[order]), adam, 12)


@admit("one-shard", "data-barely-covered", half="held-out", also=("overfitting",))
def one_shard(seed: int) -> dict[str, Any]:
    """The indices of a first test with sixteen examples were left in the sampler."""
    X, y = waves(700, seed)
    generator = torch.Generator().manual_seed(seed)
    sampler = SubsetRandomSampler(range(16), generator=generator)
    torch.manual_seed(seed)
    model = SequenceClassifier()
    adam = torch.optim.Adam(model.parameters(), lr=5e-3)
    return as_they_come(model, CE, DataLoader(TensorDataset(X, y), batch_size=8, sampler=sampler), adam, 40)


@admit(
    "rare-disease",
    "class-imbalance",
    half="held-out",
    also=("learning-rate-too-small", "still-improving"),
)
def rare_disease(seed: int) -> dict[str, Any]:
    """One malignant case in thirty, one output, a logistic loss: it predicts benign for all."""
    X, y = table("breast_cancer")
    benign, malignant = (y == 1).nonzero()[:, 0], (y == 0).nonzero()[:12, 0]
    kept = torch.cat([benign, malignant])
    model = mlp(30, 8, 1, activation=nn.Tanh, seed=seed)
    nn.init.constant_(model[2].bias, -2.0)  # type: ignore[arg-type]
    sgd = torch.optim.SGD(model.parameters(), lr=0.001)
    target = (y[kept] == 0).float()[:, None]
    return trained(model, nn.BCEWithLogitsLoss(), (X[kept], target), sgd, seed=seed, epochs=30)


@admit("validation-in-other-units", "train-val-mismatch", half="held-out")
def validation_in_other_units(seed: int) -> dict[str, Any]:
    """The validation table was standardized by its own script: other means, half the scale."""
    train, (X_val, y_val) = held_back(table("breast_cancer"), 0.3, seed)
    model = mlp(30, 16, 2, seed=seed)
    adamw = torch.optim.AdamW(model.parameters(), lr=3e-3)
    parts = trained(model, CE, (train[0], train[1]), adamw, seed=seed, epochs=15)
    return parts | {"val_data": (0.5 * X_val + 3.0, y_val)}


@admit("divided-twice", "reported-number-wrong", half="held-out")
def divided_twice(seed: int) -> dict[str, Any]:
    """The mean loss is divided by the eight accumulation steps once more before it is logged."""
    torch.manual_seed(seed)
    model = SequenceClassifier()
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    return with_losses_times(trained(model, CE, waves(512, seed), adam, seed=seed, epochs=12), 1 / 8)


@admit("diabetes-by-heart", "overfitting", half="held-out")
def diabetes_by_heart(seed: int) -> dict[str, Any]:
    """A wide network on three hundred patients, trained until it knows each of them."""
    train, val = held_back(table("diabetes"), 0.33, seed)
    model = mlp(10, 128, 128, 1, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    parts = trained(model, MSE, (train[0], train[1]), adam, seed=seed, epochs=120)
    return parts | {"val_data": tuple(val)}
