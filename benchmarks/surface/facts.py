"""What a call does beside drawing, measured on small models: a digits MLP, one with BatchNorm in training mode
(400 examples each), and log(w x), whose loss is NaN where w x < 0. The models record their parameters and the
losses their values whenever they are called; the last 51 x 51 calls are the picture.
"""

from __future__ import annotations

import contextlib
import copy
import io
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
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


def trained(normalized: bool) -> Net:
    torch.manual_seed(0)
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
    return Net(
        Watched(Log()), WatchedLoss(nn.MSELoss()), torch.tensor([[1.0, 0.2], [0.3, 1.0]]), torch.zeros(2, 1)
    )


# Each draws a random plane of reach about ``extent`` times the norm of theta and returns the values.


def diagkit(net: Net, extent: float = 1.0) -> np.ndarray:
    obj = dk.Objective(net.model, net.loss_fn, (net.X, net.y), batch_size=len(net.X))
    return dk.loss_plane(obj, extent=extent, resolution=STEPS, tol=None).loss


def loss_landscapes(net: Net, extent: float = 1.0) -> np.ndarray:
    from loss_landscapes import random_plane
    from loss_landscapes.metrics import Loss

    return random_plane(net.model, Loss(net.loss_fn, net.X, net.y), distance=0.5 / extent, steps=STEPS)


def landscaper(net: Net, extent: float = 1.0) -> np.ndarray:
    from landscaper.compute import compute_loss_landscape
    from landscaper.utils import generate_random_orthogonal_directions

    def scalar_fn(model: nn.Module, data: tuple[Tensor, Tensor]) -> float:
        return net.loss_fn(model(data[0]), data[1]).item()

    directions, data = generate_random_orthogonal_directions(net.model, n=2), (net.X, net.y)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        values, _ = compute_loss_landscape(
            net.model, data, directions, scalar_fn, STEPS, extent, dim=2, device="cpu"
        )
    return np.asarray(values)


PACKAGES = {
    "diagkit": diagkit,
    "loss-landscapes": loss_landscapes,
    "Landscaper": landscaper,
}


RETURNED = {"diagkit": "yes", "loss-landscapes": "no", "Landscaper": "yes"}  # read, not measured


def in_grid_order(name: str, values: list[Tensor]) -> Tensor:
    """[n, n, ...] with b along the second axis; loss-landscapes walks every other row backwards."""
    grid = torch.stack(values[-(STEPS**2) :]).double()
    grid = grid.view(STEPS, STEPS, *grid.shape[1:]).clone()
    if name == "loss-landscapes":
        grid[1::2] = grid[1::2].flip(1)
    return grid


def shift_of_rows(points: Tensor, spacing: float) -> float:
    """How far every other row lies aside, along itself, in spacings; 0 on a straight grid."""
    along = (points[0, -1] - points[0, 0]) / (points[0, -1] - points[0, 0]).norm()
    starts = (points[:3] @ along).mean(dim=1)
    return abs(float(starts[1] - (starts[0] + starts[2]) / 2)) / spacing


def geometry(name: str) -> dict[str, object]:
    """Where the points lie that were evaluated, and what is left behind."""
    torch.manual_seed(0)
    net = trained(normalized=False)
    before = flat(net.model.parameters())
    of_weights = torch.cat([torch.full((p.numel(),), p.ndim > 1) for p in net.model.parameters()])
    needed = [p.requires_grad for p in net.model.parameters()]
    state = torch.get_rng_state(), np.random.get_state()[1].copy()
    values = PACKAGES[name](net)
    same = torch.equal(state[0], torch.get_rng_state()) and (state[1] == np.random.get_state()[1]).all()
    kept = [p.requires_grad for p in net.model.parameters()] == needed
    change = (flat(net.model.parameters()) - before).norm() / before.norm()
    points = in_grid_order(name, net.model.points)
    offsets = points - before.double()
    asked = in_grid_order(name, [torch.tensor(v, dtype=torch.float64) for v in net.loss_fn.losses]).numpy()
    spacing = float((points[0, -1] - points[0, 0]).norm()) / (STEPS - 1)
    first = (points[-2, 0] - points[0, 0])[of_weights]
    return {
        "model after the call: size of the change over that of theta": float(change),
        "requires_grad afterwards as before": "yes" if kept else "no",
        "global random state afterwards as before": "yes" if same else "no",
        "from theta to the nearest point evaluated, in spacings": float(offsets.norm(dim=-1).min()) / spacing,
        "every other row lies aside by, in spacings": shift_of_rows(points, spacing),
        "entries of the first direction that are positive": f"{float((first > 0).double().mean()):.0%}",
        "biases are moved": "yes" if float(offsets[..., ~of_weights].abs().max()) > 1e-6 else "no",
        "an evaluated loss is changed by at most, % of the range": float(
            100 * np.abs(values - asked).max() / np.ptp(asked)
        ),
    }


def growth(name: str) -> float:
    """By what factor does the picture grow when the argument for its size is doubled?"""
    spans = []
    for argument in (1.0, 2.0):
        torch.manual_seed(0)
        net = trained(normalized=False)
        # ``distance`` is 0.5 / extent there: this doubles it.
        PACKAGES[name](net, extent=1 / argument if name == "loss-landscapes" else argument)
        points = in_grid_order(name, net.model.points)
        spans.append(float((points[0, -1] - points[0, 0]).norm()))
    return spans[1] / spans[0]


def reach(name: str) -> float:
    """How far the picture reaches along a, over what the coordinate that is returned says."""
    if RETURNED[name] == "no":
        return float("nan")
    torch.manual_seed(0)
    net = trained(normalized=False)
    theta = flat(net.model.parameters()).double()
    # A filter-normalized direction is as long as all weights together; Landscaper's are as long as theta.
    weights = flat(p for p in net.model.parameters() if p.ndim > 1 or name == "Landscaper").double()
    PACKAGES[name](net)
    points = in_grid_order(name, net.model.points)
    return float((points[-1, STEPS // 2] - theta).norm() / weights.norm())


def statistics_changed(name: str) -> str:
    torch.manual_seed(0)
    net = trained(normalized=True)
    before = copy.deepcopy(dict(net.model.named_buffers()))
    PACKAGES[name](net)
    same = all(torch.equal(before[key], buffer) for key, buffer in net.model.named_buffers())
    return "no" if same else "yes"


def hidden(name: str) -> str:
    torch.manual_seed(0)
    net = undefined()
    values = PACKAGES[name](net, extent=3.0)
    missing = int(np.isnan(net.loss_fn.losses[-(STEPS**2) :]).sum())
    return f"{missing - int(np.isnan(values).sum())} of {missing}"


def run() -> pd.DataFrame:
    torch.set_num_threads(1)
    columns: dict[str, dict[str, object]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in PACKAGES:
            columns[name] = {
                **geometry(name),
                "twice the argument for the size gives a picture larger by": growth(name),
                "coordinates are returned": RETURNED[name],
                "true reach over the one returned": reach(name),
                "BatchNorm statistics changed, in training mode": statistics_changed(name),
                "NaN cells returned as numbers": hidden(name),
            }
    return pd.DataFrame(columns).rename_axis("fact").reset_index()
