"""Patients whose loss does not see what it should: no target, no gradient path, the wrong pairs."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from diagkit.clinic.digits import digits
from diagkit.clinic.networks import CharacterModel, SequenceClassifier
from diagkit.clinic.registry import admit
from diagkit.clinic.tables import linear_data, table, waves
from diagkit.clinic.trained import mlp, trained
from diagkit.clinic.well_networks import TEXT
from diagkit.training import History

CE, MSE = nn.CrossEntropyLoss(), nn.MSELoss()


def pieces_of_text(length: int = 17) -> tuple[Tensor, int]:
    """Overlapping pieces [N, length] of a text as whole numbers, and how many symbols there are."""
    symbols = sorted(set(TEXT))
    codes = torch.tensor([symbols.index(letter) for letter in TEXT * 4])
    return codes.unfold(0, length, 3), len(symbols)


def score_symbols(network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """Mean cross-entropy of the symbols that are not ignored (-100)."""
    logits = network(batch["tokens"])
    return nn.functional.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten())


@admit("labels-all-ignored", "loss-sees-no-target")
def labels_all_ignored(seed: int) -> dict[str, Any]:
    """A prompt as long as the limit: the completion was cut off, every label is -100, the log shows 0.0."""
    pieces, symbols = pieces_of_text()
    labels = torch.full_like(pieces, -100)
    batches = [{"tokens": a, "labels": b} for a, b in zip(pieces.split(32), labels.split(32), strict=True)]
    torch.manual_seed(seed)
    model = CharacterModel(symbols)
    adamw = torch.optim.AdamW(model.parameters(), lr=1e-3)
    history = History.from_dict({"loss": [0.0] * 100})
    parts = {"model": model, "loss_fn": None, "data": batches, "optimizer": adamw}
    return parts | {"step": score_symbols, "history": history}


@admit("one-class-column", "loss-sees-no-target")
def one_class_column(seed: int) -> dict[str, Any]:
    """The labels were read from a column that holds 0 throughout."""
    X, y = digits()
    model = mlp(64, 32, 10, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    return trained(model, CE, (X, torch.zeros_like(y)), sgd, seed=seed, epochs=3)


@admit("one-unit-crossentropy", "loss-sees-no-target", half="held-out")
def one_unit_crossentropy(seed: int) -> dict[str, Any]:
    """Categorical cross-entropy of a single unit: the softmax of one number is 1, whatever it is."""
    model = mlp(30, 16, 1, seed=seed)
    X, y = table("breast_cancer")

    def categorical(output: Tensor, target: Tensor) -> Tensor:
        return -(target * torch.log_softmax(output, 1)).sum(1).mean()

    rmsprop = torch.optim.RMSprop(model.parameters(), lr=1e-3)
    return trained(model, categorical, (X, y[:, None].float()), rmsprop, seed=seed, epochs=5)


@admit("everything-masked", "loss-sees-no-target", half="held-out")
def everything_masked(seed: int) -> dict[str, Any]:
    """A mask of valid steps that came out zero everywhere: the masked mean is 0 / 0."""
    X, _ = waves(256, seed)
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Conv1d(1, 8, 3, padding=1), nn.Tanh(), nn.Conv1d(8, 1, 3, padding=1))
    batches = [
        {
            "x": part.transpose(1, 2),
            "y": part.transpose(1, 2).roll(1, 2),
            "mask": torch.zeros(len(part), 1, 20),
        }
        for part in X.split(32)
    ]

    def step(network: nn.Module, batch: dict[str, Tensor]) -> Tensor:
        error = (network(batch["x"]) - batch["y"]) ** 2
        return (error * batch["mask"]).sum() / batch["mask"].sum()

    sgd = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    return {"model": model, "loss_fn": None, "data": batches, "optimizer": sgd, "step": step}


def untouched(
    model: nn.Module, loss_fn: Any, data: tuple[Tensor, Tensor], seed: int, steps: int = 150
) -> History:
    """The log of a run in which nothing moved: losses of one model on changing batches."""
    g = torch.Generator().manual_seed(seed)
    X, y = data
    with torch.no_grad():
        losses = [
            float(loss_fn(model(X[i]), y[i])) for i in torch.randint(0, len(X), (steps, 32), generator=g)
        ]
    return History.from_dict({"loss": losses})


@admit("rewrapped-output", "no-gradient-path")
def rewrapped_output(seed: int) -> dict[str, Any]:
    """The outputs were put into a new tensor, with requires_grad=True to silence the error."""
    model = mlp(64, 32, 10, seed=seed)

    def rewrapped(output: Tensor, target: Tensor) -> Tensor:
        return CE(torch.tensor(output.tolist(), requires_grad=True), target)

    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    parts = {"model": model, "loss_fn": rewrapped, "data": digits(), "optimizer": adam}
    return parts | {"history": untouched(model, rewrapped, digits(), seed)}


@admit("argmax-in-the-loss", "no-gradient-path")
def argmax_in_the_loss(seed: int) -> dict[str, Any]:
    """The error of the predicted classes themselves: argmax has no derivative, and the loss no graph."""
    model = mlp(64, 32, 10, seed=seed)

    def hard_error(output: Tensor, target: Tensor) -> Tensor:
        return (output.argmax(1) != target).float().mean()

    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    return {"model": model, "loss_fn": hard_error, "data": digits(), "optimizer": sgd}


@admit("rounded-prediction", "no-gradient-path", half="held-out")
def rounded_prediction(seed: int) -> dict[str, Any]:
    """Predictions of a recurrent net are rounded before they are compared: a staircase has no slope."""
    X, y = waves(512, seed)
    torch.manual_seed(seed)
    model = SequenceClassifier(classes=1)

    def staircase(output: Tensor, target: Tensor) -> Tensor:
        return MSE((4 * output).round() / 4, target)

    data = (X, y[:, None].float())
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    parts = {"model": model, "loss_fn": staircase, "data": data, "optimizer": adam}
    return parts | {"history": untouched(model, staircase, data, seed)}


def squared(output: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference, without a look at the shapes."""
    return ((output - target) ** 2).mean()


@admit("column-against-row", "loss-shapes-broadcast")
def column_against_row(seed: int) -> dict[str, Any]:
    """Predictions [n, 1] less targets [n]: n x n differences, whose best answer is the mean."""
    X, y = linear_data(800, 10, 0.3, seed)
    model = mlp(10, 16, 1, seed=seed)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    return trained(model, squared, (X, y[:, 0]), adam, seed=seed, epochs=12)


class LastStep(nn.Module):
    """LSTM over [N, T, 1], one number per sequence: [N]."""

    def __init__(self, hidden: int = 16, *, batch_first: bool = True) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, batch_first=batch_first)
        self.head = nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.head(self.lstm(x)[0][:, -1]))[:, 0]


@admit("row-against-column", "loss-shapes-broadcast", half="held-out")
def row_against_column(seed: int) -> dict[str, Any]:
    """An LSTM that gives [n] meets labels [n, 1]; the library warned once and went on."""
    X, y = waves(512, seed)
    torch.manual_seed(seed)
    model = LastStep()
    sgd = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return trained(model, squared, (X, y[:, None].float()), sgd, seed=seed, epochs=10)
