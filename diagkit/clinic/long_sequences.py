"""Recurrent networks that amplify, a recording in its order, and clipping that only the step shows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from diagkit.clinic.data_faults import as_they_come, in_batches
from diagkit.clinic.depth import ElmanClassifier
from diagkit.clinic.digits import digits
from diagkit.clinic.loops import Pair, in_own_loop
from diagkit.clinic.networks import SequenceClassifier
from diagkit.clinic.registry import admit
from diagkit.clinic.tables import waves
from diagkit.clinic.trained import mlp, trained

CE, MSE = nn.CrossEntropyLoss(), nn.MSELoss()


@admit("pixels-one-by-one", "exploding-gradients", also=("learning-rate-too-large",))
def pixels_one_by_one(seed: int) -> dict[str, Any]:
    """A recurrent ReLU network reads every other pixel; its recurrent weights have a gain of 2."""
    X, y = digits()
    torch.manual_seed(seed)
    model = ElmanClassifier(classes=10)
    nn.init.orthogonal_(model.rnn.weight_hh_l0, gain=2.0)  # type: ignore[arg-type]
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    return trained(model, CE, (X[:512, ::2, None], y[:512]), adam, seed=seed, epochs=4)


class Elman(nn.Module):
    """A recurrent network over [N, T, 1], one number from its last state."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.rnn, self.head = nn.RNN(1, hidden, nonlinearity="relu", batch_first=True), nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0][:, -1])


@admit("mean-of-a-long-series", "exploding-gradients", half="held-out", also=("learning-rate-too-large",))
def mean_of_a_long_series(seed: int) -> dict[str, Any]:
    """The mean of forty numbers from a recurrent network whose recurrent weights have a gain of 1.9."""
    g = torch.Generator().manual_seed(seed)
    X = torch.randn(512, 40, 1, generator=g)
    torch.manual_seed(seed)
    model = Elman(16)
    nn.init.orthogonal_(model.rnn.weight_hh_l0, gain=1.9)  # type: ignore[arg-type]
    adam = torch.optim.AdamW(model.parameters(), lr=1e-3)
    return trained(model, MSE, (X, X.mean(1) * 40**0.5), adam, seed=seed, epochs=12)


def drifting(n: int, columns: int, seed: int) -> Pair:
    """One long recording: inputs [n, columns + 1] of which the last wanders, and the map with it."""
    g = torch.Generator().manual_seed(seed)
    state = torch.cumsum(0.05 * torch.randn(n, 1, generator=g), 0)
    state = (state - state.mean()) / state.std()
    X = torch.randn(n, columns, generator=g)
    return torch.cat([X, state], 1), torch.sin(2 * X[:, :1]) + 2.0 * state * X[:, 1:2] + state


@admit(
    "day-before-night",
    "data-not-shuffled",
    also=("learning-rate-too-large", "noise-floor"),
)
def day_before_night(seed: int) -> dict[str, Any]:
    """A recording in its order: at each step the network follows the present hour and forgets the others."""
    X, y = drifting(2048, 4, seed)
    model = mlp(5, 32, 1, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    return as_they_come(model, MSE, in_batches(X, y), sgd, 6)


def clipped_step(model: nn.Module, loss_fn: Any, optimizer: torch.optim.Optimizer, norm: float) -> Any:
    """Clips between backward and step, and logs nothing of it."""

    def train_step(batch: Pair) -> float:
        inputs, targets = batch
        optimizer.zero_grad()
        loss = loss_fn(model(inputs), targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), norm)
        optimizer.step()
        return float(loss.detach())

    return train_step


@admit("clipped-in-the-step", "clipping-too-tight", also=("learning-rate-too-small",))
def clipped_in_the_step(seed: int) -> dict[str, Any]:
    """The step clips to a norm of 0.002, copied from a model with far larger gradients; no log of it."""
    model = mlp(64, 32, 10, activation=nn.Tanh, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.5)
    step = clipped_step(model, CE, sgd, 0.002)
    return in_own_loop(step, model, CE, digits(), sgd, seed=seed, epochs=8)


@admit(
    "clipped-in-the-sequence-step", "clipping-too-tight", half="held-out", also=("learning-rate-too-small",)
)
def clipped_in_the_sequence_step(seed: int) -> dict[str, Any]:
    """The same for an LSTM with Nesterov momentum."""
    torch.manual_seed(seed)
    model = SequenceClassifier()
    sgd = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9, nesterov=True)
    step = clipped_step(model, CE, sgd, 5e-4)
    return in_own_loop(step, model, CE, waves(512, seed), sgd, seed=seed, epochs=15)


@admit("clipped-in-the-step-and-well", "healthy")
def clipped_in_the_step_and_well(seed: int) -> dict[str, Any]:
    """Every step is clipped to a norm of 0.05, under AdamW, which does not mind."""
    model = mlp(64, 32, 10, seed=seed)
    adamw = torch.optim.AdamW(model.parameters(), lr=3e-3)
    step = clipped_step(model, CE, adamw, 0.05)
    return in_own_loop(step, model, CE, digits(), adamw, seed=seed, epochs=15)
