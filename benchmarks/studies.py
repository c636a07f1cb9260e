"""Studies over seeds at full length: escape by noise, scaling of inputs, normalization. Writes Markdown.

    python benchmarks/studies.py noise-escape feature-scaling normalization [--n-jobs 2] [--folder runs]

Each writes benchmarks/results/NAME.md. With a folder, an interrupted study goes on where it stopped.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable
from datetime import date
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import diagkit as dk
from diagkit.clinic.digits import digits, sklearn_datasets
from diagkit.experiments import PAPER_NET
from diagkit.experiments.study import Study

RESULTS = Path(__file__).parent / "results"
Markdown = list[str]


def machine() -> str:
    return f"{date.today()}; torch {torch.__version__}, {os.cpu_count()} cores of a CPU, one thread per run"


def table(header: list[str], rows: Iterable[list[Any]]) -> Markdown:
    shown = [header, ["---"] * len(header), *([str(cell) for cell in row] for row in rows)]
    return [f"| {' | '.join(row)} |" for row in shown] + [""]


def verdicts(study: Study) -> Markdown:
    rows = [
        [
            v.claim,
            f"**{v.verdict}**",
            f"{v.value:.3g} [{v.interval[0]:.3g}, {v.interval[1]:.3g}]",
            v.unit,
            v.count,
        ]
        for v in study.verdicts
    ]
    return table(["claim", "verdict", "effect, 95 % interval", "unit", "n"], rows)


def inside(folder: Path | None, name: str) -> Path | None:
    return None if folder is None else folder / name


# -- noise escape -----------------------------------------------------------------------------------------


def noise_escape(n_jobs: int, folder: Path | None) -> Markdown:
    X, y = digits()
    data = X[:1000], y[:1000]
    tasks = {f"6 layers x 32, c = {c}": dk.EscapeTask(c=c) for c in (0.1, 0.3, 0.55, 1.0)}
    tasks["20 layers x 50, c = 0.55 (the paper's net)"] = PAPER_NET
    lines = [
        "# Escape from a start at zero by gradient noise",
        "",
        f"{machine()}. 1000 digits, SGD, batches of 50, sigma_t = c / (1 + t)^0.275; 20 seeds an arm.",
        "A success is a training accuracy of 0.9 after the last step. Wilson's 95 % intervals.",
        "",
    ]
    for name, task in tasks.items():
        study = dk.noise_escape_study(
            data, task, n_jobs=n_jobs, folder=inside(folder, name[:12] + str(task.c))
        )
        lines += [f"## {name}: rate {task.lr}, {task.steps} steps", ""]
        rows = []
        for start in ("zero", "He"):
            for noise in (False, True):
                rate = study.rate(start, noise)
                low, high = rate.limits()
                arm = study.frame.query("start == @start and noise == @noise")
                middle = f"{arm['accuracy'].mean():.3f} ({arm['accuracy'].min():.2f} to {arm['accuracy'].max():.2f})"
                moving = f"{arm['parameters_with_gradient'].mean():.0f} of {study.num_params}"
                successes = f"{rate.successes} of {rate.runs} [{low:.2f}, {high:.2f}]"
                rows.append([start, "yes" if noise else "no", successes, middle, moving])
        lines += table(
            ["start", "noise", "successes", "accuracy: mean, range", "entries with a gradient"], rows
        )
        lines += verdicts(study)
    return lines


# -- feature scaling --------------------------------------------------------------------------------------


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
        f"{machine()}. Full gradients, 8 seeds (80 % of the examples, initial weights), at most 1000 steps; fixed "
        "rate 0.1, Adam 0.01. Median steps to the loss; “>” where a run did not get there.",
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


# -- normalization ----------------------------------------------------------------------------------------


def mlp(*sizes: int) -> nn.Module:
    layers = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1])


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(256, 10),
    )  # fmt: skip


def normalization(n_jobs: int, folder: Path | None) -> Markdown:
    after, no_affine = (dk.Normalization("batch", place="after"), dk.Normalization("batch", affine=False))
    kinds = ["none", "batch", after, no_affine, "batch-renorm", "layer", "group", "weight", "spectral"]
    lines = [
        "# Normalization: is the surface rounder?",
        "",
        f"{machine()}. Digits, SGD at 0.1, batches of 32, 300 steps, 8 paired seeds; log10 of ratios to the plain "
        "network, where less than a quarter more or less (0.097) does not count.",
        "",
    ]
    for name, make, data, chosen in (
        ("MLP 64-32-32-10", partial(mlp, 64, 32, 32, 10), digits(), kinds),
        ("CNN 8, 16", cnn, digits(images=True), ["none", "batch", "instance", "group"]),
    ):
        study = dk.normalization_study(
            make, nn.CrossEntropyLoss(), data, chosen, batch_sizes=(2, 8), n_jobs=n_jobs,
            folder=inside(folder, name[:3]),
        )  # fmt: skip
        lines += [f"## {name}", ""]
        columns = ["lambda_max_early", "lambda_max_matched", "lambda_max_late", "relative_lambda_max_matched",
                   "top_over_rms_matched", "gradient_change_early", "stable_rate", "loss_late", "gap"]  # fmt: skip
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


STUDIES = {"noise-escape": noise_escape, "feature-scaling": feature_scaling, "normalization": normalization}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("studies", nargs="*", choices=list(STUDIES), default=list(STUDIES))
    parser.add_argument("--n-jobs", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    for name in options.studies:
        folder = inside(options.folder, name)
        RESULTS.joinpath(f"{name}.md").write_text("\n".join(STUDIES[name](options.n_jobs, folder)))


if __name__ == "__main__":
    main()
