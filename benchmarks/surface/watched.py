"""Models and losses that record what is asked of them, and a random plane by each package's own call."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

import diagkit as dk
from diagkit.clinic.digits import digits

STEPS = 51


class Watched(nn.Module):
    """Records the parameters [P] at each call."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.points = model, []

    def forward(self, x: Tensor) -> Tensor:
        self.points.append(flat(self.model.parameters()))
        return self.model(x)


class WatchedLoss(nn.Module):
    """Records the loss at each call."""

    def __init__(self, loss_fn: nn.Module) -> None:
        super().__init__()
        self.loss_fn, self.losses = loss_fn, []

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        loss = self.loss_fn(output, target)
        self.losses.append(float(loss.detach()))
        return loss


@dataclass
class Net:
    model: Watched
    loss_fn: WatchedLoss
    X: Tensor
    y: Tensor


def flat(parameters: Iterable[Tensor]) -> Tensor:
    return torch.cat([p.detach().flatten().clone() for p in parameters])


def start_anew() -> None:
    """Seed the global random numbers, which peers draw from."""
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002 - the global one, which Landscaper uses


def trained(normalized: bool = False) -> Net:
    start_anew()
    X, y = (part[:400] for part in digits())
    middle: list[nn.Module] = [nn.BatchNorm1d(16)] if normalized else []
    model = nn.Sequential(nn.Linear(64, 16), *middle, nn.ReLU(), nn.Linear(16, 10))
    optimizer, loss_fn = torch.optim.Adam(model.parameters(), lr=1e-2), nn.CrossEntropyLoss()
    for _ in range(100):
        optimizer.zero_grad()
        loss_fn(model(X), y).backward()
        optimizer.step()
    return Net(Watched(model), WatchedLoss(loss_fn), X, y)


class Log(nn.Module):
    """log(w x): NaN where w x < 0."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2, 1, bias=False)
        nn.init.constant_(self.linear.weight, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).log()


def undefined() -> Net:
    start_anew()
    return Net(
        Watched(Log()), WatchedLoss(nn.MSELoss()), torch.tensor([[1.0, 0.2], [0.3, 1.0]]), torch.zeros(2, 1)
    )


# Each draws a random plane of reach about ``extent`` times the norm of theta and returns the values.


def objective(net: Net) -> dk.Objective:
    return dk.Objective(net.model, net.loss_fn, (net.X, net.y), batch_size=len(net.X))


def diagkit(net: Net, extent: float = 1.0, directions: Tensor | None = None) -> np.ndarray:
    return dk.loss_plane(objective(net), directions, extent=extent, resolution=STEPS, tol=None).loss


def loss_landscapes(net: Net, extent: float = 1.0) -> np.ndarray:
    from loss_landscapes import random_plane
    from loss_landscapes.metrics import Loss

    return random_plane(net.model, Loss(net.loss_fn, net.X, net.y), distance=0.5 / extent, steps=STEPS)


def landscaper(net: Net, extent: float = 1.0, directions: Tensor | None = None) -> np.ndarray:
    from landscaper.compute import compute_loss_landscape
    from landscaper.utils import generate_random_orthogonal_directions

    def scalar_fn(model: nn.Module, data: tuple[Tensor, Tensor]) -> float:
        return net.loss_fn(model(data[0]), data[1]).item()

    given, data = generate_random_orthogonal_directions(net.model, n=2), (net.X, net.y)
    if directions is not None:
        sizes, shapes = zip(*((p.numel(), p.shape) for p in net.model.parameters()), strict=True)
        given = [
            [part.view(shape) for part, shape in zip(d.split(sizes), shapes, strict=True)] for d in directions
        ]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        values, _ = compute_loss_landscape(
            net.model, data, given, scalar_fn, STEPS, extent, dim=2, device="cpu"
        )
    return np.asarray(values)


PACKAGES: dict[str, Callable[..., np.ndarray]] = {
    "diagkit": diagkit,
    "loss-landscapes": loss_landscapes,
    "Landscaper": landscaper,
}
