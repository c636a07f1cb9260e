"""Scaling of inputs: where it helps, and where it does not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import diagkit as dk
from benchmarks.studies.tables import Markdown, inside, machine, table, verdicts
from diagkit.clinic.digits import digits, sklearn_datasets


def raw(name: str) -> tuple[Tensor, Tensor]:
    found = getattr(sklearn_datasets(f"the {name} data set"), f"load_{name}")
    data = found(scaled=False) if name == "diabetes" else found()
    X, y = torch.tensor(data.data).float(), torch.tensor(data.target)
    return X, y if name == "wine" else ((y - y.mean()) / y.std()).float()[:, None]


def equicorrelated(rho: float = 0.9, n: int = 300, d: int = 8) -> tuple[Tensor, Tensor]:
    """Columns of equal variance, already scaled, but correlated."""
    g = torch.Generator().manual_seed(0)
    common, own = torch.randn(n, 1, generator=g), torch.randn(n, d, generator=g)
    X = rho**0.5 * common + (1 - rho) ** 0.5 * own
    return X, X @ torch.randn(d, 1, generator=g)


def head(d: int, k: int) -> nn.Module:
    layer = nn.Linear(d, k)
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.bias)
    return layer


def feature_scaling(n_jobs: int, folder: Path | None) -> Markdown:
    cases: dict[str, tuple[Any, Callable[..., Tensor], int, float]] = {
        "wine, 13 raw columns, softmax regression": (raw("wine"), nn.CrossEntropyLoss(), 3, 0.2),
        "diabetes, 10 raw columns, least squares": (raw("diabetes"), nn.MSELoss(), 1, 0.5),
        "8 columns of equal variance, correlation 0.9": (equicorrelated(), nn.MSELoss(), 1, 0.01),
        "digits, 64 pixels of one scale, softmax regression": (digits(), nn.CrossEntropyLoss(), 10, 0.3),
    }
    lines = [
        "# Scaling of inputs",
        "",
        f"{machine()}. Full gradients, 8 seeds (80 % of the examples, initial weights), at most 1000 steps; "
        "fixed rate 0.1, Adam 0.01. Median steps to the loss; “>” where a run did not get there.",
        "",
    ]
    for name, (data, loss_fn, k, target) in cases.items():
        make = partial(head, data[0].shape[1], k)
        study = dk.feature_scaling_study(
            make, loss_fn, data, target=target, lr=0.1, n_jobs=n_jobs, folder=inside(folder, name[:8])
        )
        lines += [f"## {name}: loss {target}", ""]
        rows = []
        for kind, runs in study.frame.groupby("kind", sort=False):
            condition = f"{runs['condition'].median():.3g}"
            cells = [kind, condition, f"{runs['condition_with_bias'].median():.3g}"]
            for _, arm in runs.groupby("rate", sort=False):
                cells.append(f"{'' if arm['reached'].all() else '> '}{arm['steps'].median():.0f}")
            rows.append(cells)
        lines += table(["scaling", "κ of XᵀX/n", "with bias", "fixed rate", "1/λ_max", "Adam"], rows)
        lines += verdicts(study)
    return lines
