"""Render every picture from a few small problems.

    python benchmarks/gallery.py [folder [name ...]]

Those of ``docs/surfaces.md``: ``python benchmarks/gallery.py docs/images plane_between surface_saddle``.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import diagkit as dk
from benchmarks import gallery_surfaces
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


def pictures() -> dict[str, tuple[object, dict[str, object]]]:
    saddle, good = zero_saddle(), trained()
    point = dk.classify_critical_point(saddle)
    escape = dk.escape_saddle(saddle, point)
    noise, quiet = dk.gradient_noise(noisy_line()), dk.gradient_noise(saddle)
    return {
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


def main(folder: Path, names: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    found = {name: make for name, make in gallery_surfaces.PICTURES.items() if not names or name in names}
    if set(names) - set(found) or not names:
        others = pictures()
        found |= {name: partial(others.__getitem__, name) for name in (names or others) if name not in found}
    for name, make in found.items():
        result, options = make()
        first, *rest = result if isinstance(result, list) else [result]
        drawn = draw(first, **options)
        for line in rest:
            draw(line, drawn.ax, **options)
        drawn.figure.savefig(folder / f"{name}.png", dpi=100, metadata={"Software": None})
        plt.close(drawn.figure)
        print(f"{folder / name}.png: {drawn}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "gallery"), sys.argv[2:])
