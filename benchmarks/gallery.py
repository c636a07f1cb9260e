"""Render every picture from a few small problems: ``python benchmarks/gallery.py [folder]``."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits

import diagkit as dk
from diagkit.plots import draw


def digits(num: int = 1000) -> tuple[torch.Tensor, torch.Tensor]:
    data = load_digits()
    X = torch.tensor(data.data / 16.0, dtype=torch.float32)
    return (X - X.mean(0))[:num], torch.tensor(data.target)[:num]


def net(bias: bool) -> torch.nn.Sequential:
    torch.manual_seed(0)
    parts = torch.nn.Linear(64, 32, bias=bias), torch.nn.Tanh(), torch.nn.Linear(32, 10, bias=bias)
    return torch.nn.Sequential(*parts)


def zero_saddle() -> dk.Objective:
    """All weights zero, no biases: a saddle of every such network."""
    model = net(bias=False)
    for p in model.parameters():
        torch.nn.init.zeros_(p)
    return dk.Objective(model, torch.nn.CrossEntropyLoss(), digits())


def trained(steps: int = 150) -> dk.Objective:
    model, loss_fn, (X, y) = net(bias=True), torch.nn.CrossEntropyLoss(), digits()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        loss_fn(model(X), y).backward()
        optimizer.step()
    return dk.Objective(model, loss_fn, (X, y))


def noisy_line() -> dk.Objective:
    """A small regression far from its optimum: the gradient is well resolved."""
    X = torch.randn(512, 8, generator=torch.Generator().manual_seed(0))
    model = torch.nn.Linear(8, 1)
    return dk.Objective(model, torch.nn.MSELoss(), (X, X.sum(1, keepdim=True) + 1.0))


def with_hole(plane: dk.PlaneSlice) -> dk.PlaneSlice:
    """The plane as it looks where the loss overflows in one corner."""
    a, b = np.meshgrid(plane.a, plane.b, indexing="ij")
    hole = a / plane.a.max() + b / plane.b.max() > 1.1
    return replace(plane, loss=np.where(hole, np.nan, plane.loss))


def pictures() -> dict[str, tuple[object, dict[str, object]]]:
    saddle, good = zero_saddle(), trained()
    point = dk.classify_critical_point(saddle)
    escape = dk.escape_saddle(saddle, point)
    extent = 1.25 * abs(escape.step)
    plane = dk.loss_plane(saddle, "eigenvectors", extent=extent)
    random = dk.loss_plane(good, extent=1.0)
    line = dk.loss_line(saddle, escape.direction, extent=extent)
    away = dk.loss_line(good, extent=2.0)
    noise, quiet = dk.gradient_noise(noisy_line()), dk.gradient_noise(saddle)
    walk = np.array([[0.9, 0.9], [0.75, 0.6], [0.5, 0.45], [0.3, 0.2], [0.1, 0.12], [0.0, 0.0]])
    return {
        "plane_saddle": (plane, {"escape": escape}),
        "plane_trained_log": (random, {"path": walk, "path_label": "training"}),
        "plane_not_finite": (with_hole(plane), {"cells": True}),
        "plane_constant": (replace(plane, loss=np.full_like(plane.loss, 2.3)), {}),
        "line_saddle": (line, {"curvature": escape.curvature}),
        "line_trained": (away, {}),
        "line_not_finite": (replace(away, loss=np.where(away.t > 1.4, np.inf, away.loss)), {}),
        "line_two_points": (dk.loss_line(saddle, to=escape.theta, extent=1.5), {}),
        "eigenvalues_saddle": (dk.hessian_eigenvalues(saddle, 6, which="smallest"), {}),
        "eigenvalues_trained": (dk.hessian_eigenvalues(good, 8), {}),
        "critical_point_saddle": (point, {}),
        "critical_point_trained": (dk.classify_critical_point(good), {}),
        "critical_point_minimum": (dk.find_critical_point(noisy_line()), {}),
        "escape_saddle": (escape, {}),
        "escape_none": (dk.escape_saddle(dk.Objective(*quadratic())), {}),
        "gradient_noise": (noise, {"batch_size": 64}),
        "gradient_noise_trained": (dk.gradient_noise(good), {"batch_size": 64}),
        "gradient_noise_not_resolved": (quiet, {}),
    }


def quadratic() -> tuple[torch.nn.Module, torch.nn.Module, tuple[torch.Tensor, torch.Tensor]]:
    model = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    return model, torch.nn.MSELoss(), (torch.eye(2), torch.zeros(2, 1))


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, (result, options) in pictures().items():
        drawn = draw(result, **options)
        drawn.figure.savefig(folder / f"{name}.png", dpi=100)
        plt.close(drawn.figure)
        print(f"{folder / name}.png: {drawn}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "gallery"))
