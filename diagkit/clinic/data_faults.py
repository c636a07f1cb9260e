"""Patients whose data are at fault, digits and drawn tables: blank, unscaled, mismatched, in order, rare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from diagkit.clinic.digits import digits
from diagkit.clinic.registry import admit
from diagkit.clinic.tables import linear_data
from diagkit.clinic.trained import mlp, trained
from diagkit.training import History, Recorder

CE, MSE = nn.CrossEntropyLoss(), nn.MSELoss()


def as_they_come(
    model: nn.Module,
    loss_fn: Any,
    batches: Any,
    optimizer: torch.optim.Optimizer,
    epochs: int,
) -> dict[str, Any]:
    """Train on batches in their own order, epoch after epoch; the parts of a patient."""
    recorder = Recorder(model, optimizer)
    for _ in range(epochs):
        for inputs, targets in batches:
            optimizer.zero_grad()
            loss = loss_fn(model(inputs), targets)
            loss.backward()
            optimizer.step()
            recorder.log(loss=float(loss.detach()))
    parts = {"model": model, "loss_fn": loss_fn, "data": batches, "optimizer": optimizer}
    return parts | {"history": recorder.history}


def in_batches(X: Tensor, y: Tensor, size: int = 32) -> list[tuple[Tensor, Tensor]]:
    """Cut in the order given."""
    return list(zip(X.split(size), y.split(size), strict=True))


def with_losses_times(parts: dict[str, Any], factor: float) -> dict[str, Any]:
    """The same run with another log."""
    history = parts["history"]
    return parts | {"history": History.from_dict({"loss": [factor * x for x in history.loss.tolist()]})}


def held_back(
    data: tuple[Tensor, Tensor], share: float, seed: int
) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """(training data, validation data), drawn at random."""
    X, y = data
    order = torch.randperm(len(X), generator=torch.Generator().manual_seed(seed))
    cut = int(share * len(X))
    return (X[order[cut:]], y[order[cut:]]), (X[order[:cut]], y[order[:cut]])


@admit("blank-images", "inputs-corrupt")
def blank_images(seed: int) -> dict[str, Any]:
    """A third of the image files was not found, and the reader gave zeros instead of an error."""
    X, y = digits()
    g = torch.Generator().manual_seed(seed)
    X[torch.rand(len(X), generator=g) < 0.35] = 0.0
    model = mlp(64, 32, 10, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=2e-3)
    return trained(model, CE, (X, y), adam, seed=seed, epochs=15)


@admit("raw-columns", "inputs-unscaled")
def raw_columns(seed: int) -> dict[str, Any]:
    """Columns in their own units, from hundredths to hundreds; a stable rate is too low for most."""
    X, y = linear_data(800, 10, 0.3, seed)
    units = 10.0 ** torch.linspace(-2, 2, 10)
    model = mlp(10, 1, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=1e-5)
    return trained(model, MSE, (X * units, y), sgd, seed=seed, epochs=40)


@admit("raw-targets", "targets-unscaled", also=("learning-rate-too-small",))
def raw_targets(seed: int) -> dict[str, Any]:
    """Targets around 5000 with a spread of 1000, from a network that begins at 0, Adam at its default."""
    X, y = linear_data(800, 10, 0.3, seed)
    model = mlp(10, 32, 1, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    return trained(model, MSE, (X, 300 * y + 5000), adam, seed=seed, epochs=20)


@admit("digits-as-numbers", "labels-as-numbers")
def digits_as_numbers(seed: int) -> dict[str, Any]:
    """The class of a digit as the number to be predicted, by squared error."""
    X, y = digits()
    model = mlp(64, 1, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.02)
    return trained(model, MSE, (X, y[:, None].float()), sgd, seed=seed, epochs=30)


@admit("labels-off-by-one", "labels-mismatched")
def labels_off_by_one(seed: int) -> dict[str, Any]:
    """A header row was read as a label: each image has the label of the one before."""
    X, y = digits()
    model = mlp(64, 32, 10, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    return trained(model, CE, (X, y.roll(1)), adam, seed=seed, epochs=6)


@admit("sorted-by-class", "data-not-shuffled", also=("learning-rate-too-large", "noise-floor"))
def sorted_by_class(seed: int) -> dict[str, Any]:
    """Files in folders by class, and a loader that does not shuffle: batches of one class."""
    X, y = digits()
    order = y.argsort(stable=True)
    model = mlp(64, 32, 10, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(TensorDataset(X[order], y[order]), batch_size=32)
    return as_they_come(model, CE, loader, sgd, 6)


@admit("few-weights", "data-barely-covered", also=("overfitting",))
def few_weights(seed: int) -> dict[str, Any]:
    """Sampling weights that are zero for nearly all examples: the same twenty are shown again and again."""
    X, y = digits()
    weights = torch.zeros(len(X), dtype=torch.float64)
    weights[:20] = 1.0
    generator = torch.Generator().manual_seed(seed)
    sampler = WeightedRandomSampler(weights, len(X), generator=generator)  # type: ignore[arg-type]
    model = mlp(64, 32, 10, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    return as_they_come(model, CE, DataLoader(TensorDataset(X, y), batch_size=32, sampler=sampler), adam, 4)


@admit("rare-digit", "class-imbalance", also=("learning-rate-too-small", "still-improving"))
def rare_digit(seed: int) -> dict[str, Any]:
    """One image in sixty shows an eight; the network says "not an eight" of all of them."""
    X, y = digits()
    rest, eights = (y != 8).nonzero()[:, 0], (y == 8).nonzero()[:27, 0]
    kept = torch.cat([rest, eights])
    model = mlp(64, 16, 2, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.01)
    return trained(model, CE, (X[kept], (y[kept] == 8).long()), sgd, seed=seed, epochs=15)


@admit("validation-not-scaled", "train-val-mismatch")
def validation_not_scaled(seed: int) -> dict[str, Any]:
    """Pixels were scaled and centred for training only; validation sees them from 0 to 16."""
    X, y = digits()
    train, (X_val, y_val) = held_back((X, y), 0.3, seed)
    model = mlp(64, 32, 10, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=2e-3)
    parts = trained(model, CE, (train[0], train[1]), adam, seed=seed, epochs=15)
    return parts | {"val_data": (16 * X_val + 5, y_val)}


@admit("summed-micro-batches", "reported-number-wrong")
def summed_micro_batches(seed: int) -> dict[str, Any]:
    """The losses of four micro-batches are logged as their sum."""
    model = mlp(64, 32, 10, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    return with_losses_times(trained(model, CE, digits(), adam, seed=seed, epochs=6), 4.0)


@admit("noise-learned-by-heart", "overfitting")
def noise_learned_by_heart(seed: int) -> dict[str, Any]:
    """Two hundred images, a third of their labels wrong, a wide network, and no end of training."""
    X, y = digits()
    (X, y), val = held_back((X, y), 0.5, seed)
    X, y = X[:200], y[:200].clone()
    g = torch.Generator().manual_seed(seed)
    wrong = torch.rand(200, generator=g) < 0.35
    y[wrong] = torch.randint(0, 10, (int(wrong.sum()),), generator=g)
    model = mlp(64, 256, 10, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    return trained(model, CE, (X, y), adam, seed=seed, epochs=80) | {"val_data": tuple(val)}
