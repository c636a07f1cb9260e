"""Losses of several terms on tables and waves: one that drowns the others, and sums that are balanced."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from diagkit.clinic.registry import admit
from diagkit.clinic.tables import table, waves
from diagkit.clinic.term_balance import on_step
from diagkit.clinic.trained import mlp, trained

CE = nn.CrossEntropyLoss()


class TableCode(nn.Module):
    """x -> (mean, scale of the code, reconstruction), with ReLU."""

    def __init__(self, inputs: int, code: int) -> None:
        super().__init__()
        self.into = nn.Sequential(nn.Linear(inputs, 24), nn.ReLU())
        self.mean, self.scale = nn.Linear(24, code), nn.Linear(24, code)
        self.out = nn.Sequential(nn.Linear(code, 24), nn.ReLU(), nn.Linear(24, inputs))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.into(x)
        mean, scale = self.mean(h), nn.functional.softplus(self.scale(h)) + 1e-4
        code = mean + scale * torch.randn_like(mean) if self.training else mean
        return mean, scale, self.out(code)


def coded(weight: float) -> Any:
    """Mean squared error plus ``weight`` times the divergence, per example and then averaged."""

    def step(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        mean, scale, again = model(batch[0])
        error = (again - batch[0]).square().mean(1)
        unit = Normal(torch.zeros_like(mean), torch.ones_like(scale))
        loss = error + weight * kl_divergence(Normal(mean, scale), unit).sum(1)
        return loss.mean()

    return step


@admit("code-of-the-table-unused", "loss-terms-unbalanced", half="held-out", also=("gradient-flat",))
def code_of_the_table_unused(seed: int) -> dict[str, Any]:
    """A variational autoencoder of a table, AdamW: its code was pulled to the prior before it was used."""
    torch.manual_seed(seed)
    model = TableCode(30, 6)
    adamw = torch.optim.AdamW(model.parameters(), lr=3e-3)
    return on_step(model, coded(2.0), table("breast_cancer"), adamw, seed=seed, epochs=30)


@admit("code-of-the-table-in-use", "healthy", half="held-out")
def code_of_the_table_in_use(seed: int) -> dict[str, Any]:
    """The same with a divergence of small weight: the code holds what the table has in common."""
    torch.manual_seed(seed)
    model = TableCode(30, 6)
    adamw = torch.optim.AdamW(model.parameters(), lr=5e-3)
    return on_step(model, coded(2e-3), table("breast_cancer"), adamw, seed=seed, epochs=80)


class ClassAndForecast(nn.Module):
    """LSTM over [N, T, 1]: logits from its last state, and the next value from each."""

    def __init__(self, hidden: int = 24) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, batch_first=True)
        self.head, self.next = nn.Linear(hidden, 3), nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        states = self.lstm(x)[0]
        return {"logits": self.head(states[:, -1]), "next": self.next(states[:, :-1])}


def classed_and_forecast(weight: float) -> Any:
    """Cross-entropy of the class, and ``weight`` times the error of the forecast."""

    def step(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        x, y = batch
        outputs = model(x)
        loss = CE(outputs["logits"], y)
        loss += weight * nn.functional.mse_loss(outputs["next"], x[:, 1:])
        return loss

    return step


@admit(
    "forecast-drowns-the-class",
    "loss-terms-unbalanced",
    half="held-out",
    also=("learning-rate-too-small", "still-improving"),
)
def forecast_drowns_the_class(seed: int) -> dict[str, Any]:
    """An LSTM that forecasts and classifies: the error of the forecast has two thousand times the weight."""
    torch.manual_seed(seed)
    model = ClassAndForecast()
    sgd = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
    return on_step(model, classed_and_forecast(2e3), waves(512, seed), sgd, seed=seed, epochs=25)


@admit("forecast-beside-the-class", "healthy", half="held-out")
def forecast_beside_the_class(seed: int) -> dict[str, Any]:
    """Both in balance, and learned."""
    torch.manual_seed(seed)
    model = ClassAndForecast()
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    return on_step(model, classed_and_forecast(0.5), waves(512, seed), adam, seed=seed, epochs=25)


@admit("confidence-forbidden", "loss-terms-unbalanced", half="held-out")
def confidence_forbidden(seed: int) -> dict[str, Any]:
    """A penalty on confident outputs, the squares of all logits, has thirty times the weight of the loss."""
    model = mlp(13, 16, 3, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def loss(logits: Tensor, y: Tensor) -> Tensor:
        return CE(logits, y) + 30.0 * logits.square().mean()

    return trained(model, loss, table("wine"), sgd, seed=seed, batch_size=16, epochs=40)


@admit("smoothed-and-penalized", "healthy", half="held-out")
def smoothed_and_penalized(seed: int) -> dict[str, Any]:
    """Smoothed labels, a small penalty on logits, and one on the size of weights: each costs a little."""
    model = mlp(13, 16, 3, seed=seed)
    adamw = torch.optim.AdamW(model.parameters(), lr=5e-3)
    smooth = nn.CrossEntropyLoss(label_smoothing=0.1)

    def step(network: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        logits = network(batch[0])
        sizes = sum(p.abs().sum() for p in network.parameters())
        return smooth(logits, batch[1]) + 1e-3 * logits.square().mean() + 1e-4 * sizes

    return on_step(model, step, table("wine"), adamw, seed=seed, epochs=60)
