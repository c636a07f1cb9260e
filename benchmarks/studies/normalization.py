"""Normalization: is the surface rounder? Three networks, and gradients at initialization."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn

import diagkit as dk
from benchmarks.studies.tables import Markdown, inside, machine, table, verdicts
from diagkit.clinic.digits import digits


def mlp(*sizes: int) -> nn.Module:
    layers = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def deep() -> nn.Module:
    """A plain net that learns from the first step on."""
    net = mlp(64, *[32] * 8, 10)
    for module in net:
        if isinstance(module, nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.bias)
    return net


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(256, 10),
    )  # fmt: skip


def normalization(n_jobs: int, folder: Path | None) -> Markdown:
    after, no_affine = (dk.Normalization("batch", place="after"), dk.Normalization("batch", affine=False))
    kinds = ["none", "batch", after, no_affine, "batch-renorm", "layer", "group", "weight", "spectral"]
    of_images = ["none", "batch", "instance", "group"]
    lines = [
        "# Normalization: is the surface rounder?",
        "",
        f"{machine()}. Digits, SGD at 0.1, batches of 32, 300 steps, 8 paired seeds; log10 of ratios to the "
        "plain network, where less than a quarter more or less (0.097) does not count.",
        "",
    ]
    for name, make, data, chosen in (
        ("MLP 64-32-32-10, torch's initialization", partial(mlp, 64, 32, 32, 10), digits(), kinds),
        ("deep MLP, 8 hidden layers of 32, He's initialization", deep, digits(), ["none", "batch", "layer"]),
        ("CNN 8, 16, torch's initialization", cnn, digits(images=True), of_images),
    ):
        study = dk.normalization_study(
            make, nn.CrossEntropyLoss(), data, chosen, batch_sizes=(2, 8), n_jobs=n_jobs,
            folder=inside(folder, name[:3]),
        )  # fmt: skip
        lines += [f"## {name}", ""]
        columns = [f"lambda_max_{when}" for when in ("early", "matched", "late")]
        columns += ["relative_lambda_max_matched", "top_over_rms_matched", "gradient_change_early"]
        columns += ["stable_rate", "loss_early", "loss_matched", "loss_late", "gap"]
        rows = []
        for n in study.normalizations:
            runs = study.frame
            for column, value in n.settings.items():
                runs = runs[runs[column] == value]
            rows.append([str(n), *(f"{runs[c].median():.3g}" for c in columns)])
        lines += ["Medians:", "", *table(["kind", *(c.replace("_", " ") for c in columns)], rows)]
        sizes = study.size_frame.groupby(["kind", "place", "affine", "batch_size"], sort=False)
        rows = [
            [", ".join(map(str, key)), f"{runs['loss_running'].median():.3g}", f"{runs['gap'].median():.2g}"]
            for key, runs in sizes
        ]
        lines += table(
            ["kind, place, γ β, batch size", "held-out loss", "running less batch statistics"], rows
        )
        lines += verdicts(study)
    return lines + growth(8)


def growth(seeds: int) -> Markdown:
    """Gradient explosion of batch normalization at initialization: pi / (pi - 1) per layer."""
    limit, found = np.pi / (np.pi - 1), []
    for seed in range(seeds):
        torch.manual_seed(seed)
        plain = mlp(64, *[512] * 10, 10)
        for module in plain:
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight)
        X, y = torch.randn(512, 64), torch.randint(10, (512,))
        net = dk.with_normalization(plain, "batch")
        obj = dk.Objective(net, nn.CrossEntropyLoss(), (X, y), norm_stats="batch", batch_size=512)
        found.append(dk.signal_propagation(obj).gradient_growth.factor)
    difference = dk.paired_difference(np.full(seeds, np.log(limit)), np.log(found), unit="log of the factor")
    claim = "squared gradients grow by π/(π − 1) = 1.467 per layer towards the input"
    verdict = dk.judge(claim, difference, expects="no difference", smallest=0.05)
    factors = ", ".join(f"{factor:.3f}" for factor in found)
    return [
        "## Batch normalization at initialization, 10 layers of 512 units",
        "",
        f"Growth of the squared gradient per layer: {factors}.",
        f"{claim}: **{verdict.verdict}** ({verdict.explanation}).",
        "",
    ]
