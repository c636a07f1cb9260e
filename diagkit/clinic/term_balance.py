"""Losses of several terms on digits: one that drowns the others, and sums that are balanced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from diagkit.clinic.digits import digits
from diagkit.clinic.loops import in_own_loop, shuffled
from diagkit.clinic.registry import admit
from diagkit.clinic.trained import mlp, trained

CE, MSE = nn.CrossEntropyLoss(), nn.MSELoss()
Moments = tuple[Tensor, Tensor, Tensor]


class VariationalAutoencoder(nn.Module):
    """x -> (reconstruction, mean, log variance) of a Gaussian code; in evaluation the code is its mean."""

    def __init__(self, inputs: int, code: int = 8, width: int = 32) -> None:
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, 2 * code))
        self.decode = nn.Sequential(nn.Linear(code, width), nn.Tanh(), nn.Linear(width, inputs))

    def forward(self, x: Tensor) -> Moments:
        mean, log_variance = self.encode(x).chunk(2, dim=1)
        code = mean
        if self.training:
            code = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        return self.decode(code), mean, log_variance


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence from the standard normal code, summed over the code, mean over examples."""
    return (-0.5 * (1 + log_variance - mean**2 - log_variance.exp())).sum(1).mean()


def evidence_bound(weight: float) -> Callable[[Moments, Tensor], Tensor]:
    """Squared error, a mean over pixels, plus ``weight`` times the divergence, a sum over the code."""

    def loss(outputs: Moments, x: Tensor) -> Tensor:
        reconstruction, mean, log_variance = outputs
        return nn.functional.mse_loss(reconstruction, x) + weight * divergence(mean, log_variance)

    return loss


class TwoHeads(nn.Module):
    """A class and a number from one body."""

    def __init__(self, inputs: int, width: int, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.classes, self.number = nn.Linear(width, classes), nn.Linear(width, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.body(x)
        return self.classes(h), self.number(h)


def two_tasks(weight: float) -> Callable[[tuple[Tensor, Tensor], Tensor], Tensor]:
    """Cross-entropy of the class plus ``weight`` times the squared error of the number; targets [N, 2]."""

    def loss(outputs: tuple[Tensor, Tensor], target: Tensor) -> Tensor:
        logits, number = outputs
        return CE(logits, target[:, 0].long()) + weight * MSE(number[:, 0], target[:, 1])

    return loss


def class_and_number(X: Tensor, y: Tensor, seed: int, noise: float = 1.0) -> tuple[Tensor, Tensor]:
    """Beside the class a number of the image, most of it noise: targets [N, 2]."""
    g = torch.Generator().manual_seed(seed)
    number = (X @ torch.randn(X.shape[1], generator=g)) / X.shape[1] ** 0.5
    return X, torch.stack([y.float(), number + noise * torch.randn(len(X), generator=g)], 1)


@admit("divergence-drowns-the-image", "loss-terms-unbalanced")
def divergence_drowns_the_image(seed: int) -> dict[str, Any]:
    """Variational autoencoder: the squared error is a mean over pixels, the divergence a sum over codes."""
    X, _ = digits()
    torch.manual_seed(seed)
    model = VariationalAutoencoder(64)
    adam = torch.optim.Adam(model.parameters(), lr=2e-3)
    return trained(model, evidence_bound(1.0), (X, X), adam, seed=seed, epochs=15)


@admit("number-drowns-the-class", "loss-terms-unbalanced", also=("learning-rate-too-large", "noise-floor"))
def number_drowns_the_class(seed: int) -> dict[str, Any]:
    """Classes and a noisy number from one body; the error of the number has a thousand times the weight."""
    X, y = digits()
    torch.manual_seed(seed)
    model = TwoHeads(64, 32, 10)
    sgd = torch.optim.SGD(model.parameters(), lr=3e-5, momentum=0.9)
    return trained(model, two_tasks(1e3), class_and_number(X, y, seed), sgd, seed=seed, epochs=10)


def penalized(weight: float) -> Callable[[nn.Module, tuple[Tensor, Tensor]], Tensor]:
    """Cross-entropy plus ``weight`` times the sum of all squared weights."""

    def step(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        squares = torch.stack([p.square().sum() for p in model.parameters()]).sum()
        return CE(model(batch[0]), batch[1]) + weight * squares

    return step


def on_step(
    model: nn.Module, step: Callable[..., Tensor], data: tuple[Tensor, Tensor], optimizer: Any, **options: Any
) -> dict[str, Any]:
    """Train on ``step(model, batch)``; the parts of a patient whose batches come cut."""

    def train_step(batch: tuple[Tensor, Tensor]) -> float:
        optimizer.zero_grad()
        loss = step(model, batch)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    batches = list(shuffled(data, 32, options["seed"]))
    return in_own_loop(train_step, model, None, batches, optimizer, step=step, **options)


@admit("penalty-drowns-the-loss", "loss-terms-unbalanced", also=("weight-decay-too-strong", "saddle-point"))
def penalty_drowns_the_loss(seed: int) -> dict[str, Any]:
    """A penalty on the squares of all weights that was added as their sum, and not as a small part of it."""
    model = mlp(64, 32, 10, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return on_step(model, penalized(0.1), digits(), sgd, seed=seed, epochs=12)


@admit("two-tasks-in-balance", "healthy")
def two_tasks_in_balance(seed: int) -> dict[str, Any]:
    """Classes and a number from one body, both learned; half of the number is noise."""
    X, y = digits()
    torch.manual_seed(seed)
    model = TwoHeads(64, 48, 10)
    adam = torch.optim.Adam(model.parameters(), lr=2e-3)
    return trained(model, two_tasks(0.3), class_and_number(X, y, seed, 0.3), adam, seed=seed, epochs=25)


@admit("images-with-a-code", "healthy")
def images_with_a_code(seed: int) -> dict[str, Any]:
    """A variational autoencoder whose divergence has a weight of 0.003: the code is used."""
    X, _ = digits()
    torch.manual_seed(seed)
    model = VariationalAutoencoder(64)
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    return trained(model, evidence_bound(3e-3), (X, X), adam, seed=seed, epochs=60)


@admit("ridge-in-the-loss", "healthy")
def ridge_in_the_loss(seed: int) -> dict[str, Any]:
    """A penalty of 0.0005 on the squares of all weights, in the loss: it costs a little, as intended."""
    model = mlp(64, 32, 10, seed=seed)
    sgd = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return on_step(model, penalized(5e-4), digits(), sgd, seed=seed, epochs=25)


@admit("second-task-is-noise", "healthy")
def second_task_is_noise(seed: int) -> dict[str, Any]:
    """Beside its class each image has a number drawn at random: no weight can teach that one."""
    X, y = digits()
    g = torch.Generator().manual_seed(seed)
    target = torch.stack([y.float(), torch.randn(len(X), generator=g)], 1)
    torch.manual_seed(seed)
    model = TwoHeads(64, 32, 10)
    adam = torch.optim.Adam(model.parameters(), lr=2e-3)
    return trained(model, two_tasks(0.3), (X, target), adam, seed=seed, epochs=8)
