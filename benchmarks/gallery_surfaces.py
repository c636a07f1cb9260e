"""Loss surfaces for the gallery: of digits networks, and of shapes that are hard to draw."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import diagkit as dk
from benchmarks.curvature.models import mlp
from diagkit.clinic.digits import digits

Picture = tuple[Any, dict[str, Any]]  # a result and the options of its picture


@cache
def trained(seed: int = 0) -> dk.Objective:
    """A digits network of 1210 parameters after 500 steps of Adam."""
    made = mlp(seed)
    return dk.Objective(made.model, made.loss_fn, (made.X, made.y))


@cache
def saddle() -> tuple[dk.Objective, Any]:
    """All weights zero: a saddle of every such network; and the step off it."""
    model = nn.Sequential(nn.Linear(64, 32, bias=False), nn.Tanh(), nn.Linear(32, 10, bias=False))
    for p in model.parameters():
        nn.init.zeros_(p)
    obj = dk.Objective(model, nn.CrossEntropyLoss(), digits())
    return obj, dk.escape_saddle(obj)


class Valley(nn.Module):
    """L = (1 - x)^2 + 100 (y - x^2)^2, of Rosenbrock, as a mean squared error of two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor([0.0, 0.4]))

    def forward(self, inputs: Tensor) -> Tensor:
        x, y = self.w
        return 2**0.5 * torch.stack([1 - x, 10 * (y - x**2)]).expand(len(inputs), 2)


def valley() -> dk.PlaneSlice:
    obj = dk.Objective(Valley(), nn.MSELoss(), (torch.zeros(1, 2), torch.zeros(1, 2)))
    return dk.loss_plane(obj, torch.eye(2), extent=1.5)


def overflowing() -> dk.PlaneSlice:
    """Counts with mean exp(f): beyond f = 88 float32 holds no exp."""
    torch.manual_seed(0)
    X, y = digits()
    model = nn.Linear(64, 1)
    obj = dk.Objective(model, nn.PoissonNLLLoss(), (X, y[:, None].float()))
    return dk.loss_plane(obj, extent=150.0)


@cache
def trajectories() -> tuple[dk.Objective, dict[str, Tensor]]:
    """Points on the way of three optimizers from one start, and the objective where the first ended."""
    found, ends = {}, []
    X, y = digits()
    optimizers: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "SGD": lambda p: torch.optim.SGD(p, lr=0.3),
        "SGD, weight decay 0.02": lambda p: torch.optim.SGD(p, lr=0.3, weight_decay=0.02),
        "Adam": lambda p: torch.optim.Adam(p, lr=0.005),
    }
    for name, optimizer in optimizers.items():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 10))
        recorder = dk.TrajectoryRecorder(model, max_points=60)
        data = torch.utils.data.TensorDataset(X, y)
        loader = torch.utils.data.DataLoader(data, batch_size=256, shuffle=True)
        dk.train(model, nn.CrossEntropyLoss(), loader, optimizer=optimizer, epochs=30, callbacks=[recorder])
        found[name] = recorder.thetas
        ends.append(dk.Objective(model, nn.CrossEntropyLoss(), (X, y)))
    return ends[0], found


@cache
def trajectory() -> dk.TrajectoryPlane:
    obj, thetas = trajectories()
    return dk.trajectory_plane(obj, thetas["SGD"])


def optimizer_paths() -> Picture:
    """The plane that holds most of all three ways."""
    obj, thetas = trajectories()
    plane = dk.trajectory_plane(obj, torch.cat([*thetas.values()][::-1])).plane
    paths = {name: plane.coordinates(points) for name, points in thetas.items()}
    return dk.loss_plane(obj, plane), {"path": paths}


@cache
def connection() -> dk.ModeConnection:
    return dk.connect_modes(trained(0), trained(1))


@cache
def between() -> dk.PlaneSlice:
    return dk.loss_plane(trained(0), to=trained(1))


@cache
def early() -> dk.Objective:
    """A digits network after ten steps: the gradient is large."""
    X, y = digits()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 16), nn.Tanh(), nn.Linear(16, 10))
    adam = lambda p: torch.optim.Adam(p, lr=0.01)  # noqa: E731
    dk.train(model, nn.CrossEntropyLoss(), (X, y), optimizer=adam, max_steps=10)
    return dk.Objective(model, nn.CrossEntropyLoss(), (X, y))


def at_saddle() -> Picture:
    obj, escape = saddle()
    return dk.loss_plane(obj, "eigenvectors", extent=1.25 * abs(escape.step)), {"escape": escape}


def along_path() -> Picture:
    found = trajectory()
    return dk.loss_plane(trajectories()[0], found), {"path": found.path, "path_label": "SGD"}


def curve() -> Picture:
    found = connection()
    return dk.loss_plane(trained(0), found), {"path": found.path, "path_label": "trained curve"}


def stage(number: int) -> dk.PlaneSlice:
    return [*dk.refine_loss_plane(trained(0), extent=1.5, tol=1e-3)][number]


def lines() -> list[dk.LineSlice]:
    return [
        dk.loss_line(early(), direction, extent=2.0, parabola=True)
        for direction in ("gradient", "highest", "lowest")
    ]


def in_3d(picture: Picture) -> Picture:
    result, options = picture
    return result, {name: options[name] for name in options if name.startswith("path")} | {"view": "3d"}


# Each is made when it is asked for.
PICTURES: dict[str, Callable[[], Picture]] = {
    "plane_saddle": at_saddle,
    "plane_random": lambda: (dk.loss_plane(trained()), {"cells": True}),
    "plane_wide": lambda: (dk.loss_plane(trained(), extent=4.0), {}),
    "plane_valley": lambda: (valley(), {}),
    "plane_not_finite": lambda: (overflowing(), {}),
    "plane_constant": lambda: (replace(between(), loss=np.full((51, 51), 2.3), kind="given"), {}),
    "plane_between": lambda: (between(), {}),
    "plane_three_points": lambda: (dk.loss_plane(trained(0), to=[trained(1), trained(2)]), {}),
    "plane_trajectory": along_path,
    "plane_optimizers": optimizer_paths,
    "plane_curve": curve,
    "plane_gradient": lambda: (dk.loss_plane(early(), "gradient", extent=2.0), {}),
    "plane_stage_first": lambda: (stage(0), {"cells": True}),
    "plane_stage_third": lambda: (stage(2), {"cells": True}),
    "plane_stage_last": lambda: (stage(-1), {"cells": True}),
    "surface_saddle": lambda: in_3d(at_saddle()),
    "surface_between": lambda: in_3d((between(), {})),
    "surface_trajectory": lambda: in_3d(along_path()),
    "surface_valley": lambda: in_3d((valley(), {})),
    "surface_not_finite": lambda: in_3d((overflowing(), {})),
    "line_gradient": lambda: (lines()[0], {}),
    "line_lowest": lambda: (lines()[2], {}),
    "line_between": lambda: (dk.loss_line(trained(0), to=trained(1), extent=1.2), {}),
    "line_random": lambda: (dk.loss_line(trained(), extent=1.0, parabola=True), {}),
    "line_three": lambda: (lines(), {}),
    "random_planes": lambda: (dk.random_planes(early(), 10), {}),
    "trajectory": lambda: (trajectory(), {}),
    "mode_connection": lambda: (connection(), {}),
}
