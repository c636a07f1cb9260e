"""Batch sizes on digits: the full study, a contrastive loss, and the critical batch size, as Markdown.

    python benchmarks/batch_size.py [--epochs 22] [--seeds 8] [--jobs 2] [--folder DIR] \\
        > benchmarks/results/batch-size.md

With a folder, a second call goes on where the first was stopped.
"""

from __future__ import annotations

import argparse
import datetime
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import diagkit as dk
from diagkit.clinic.digits import digits
from diagkit.experiments import ARMS, info_nce, two_views

TRAIN = 1437
TARGET = 0.2
COLUMNS = ("train_loss", "test_accuracy", "lambda_max", "keskar", "trace", "distance")


def split() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Digits, 80 % for training, each pixel with mean 0 and variance 1 on these."""
    X, y = digits()
    order = torch.randperm(len(X), generator=torch.Generator().manual_seed(0))
    train, test = order[:TRAIN], order[TRAIN:]
    scaled = dk.fit_scaling(X[train], "z-score").apply(X)
    return (scaled[train], y[train]), (scaled[test], y[test])


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def encoder() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 16))


def row(*cells: Any) -> None:
    print("| " + " | ".join(str(cell) for cell in cells) + " |")


def head(*names: str) -> None:
    row(*names)
    print("|---" + "|---:" * (len(names) - 1) + "|")


def mean(values: Any) -> str:
    return f"{np.mean(values):.3g} ± {np.std(values, ddof=1) / len(values) ** 0.5:.1g}"


def show_study(study: Any, columns: tuple[str, ...], there: tuple[str, ...]) -> None:
    small, matched = study.batch_sizes[0], [f"matched_{name}" for name in there]
    head("arm", "B", "rate", "steps", *columns, *(f"{name} at the same loss" for name in there))
    for (arm, b), rows in study.frame.groupby(["arm", "batch_size"], sort=False):
        if b == small and arm not in (study.arms[0], "tuned rate"):
            continue
        name = arm if b != small else f"reference, {arm}" if arm == "tuned rate" else "reference"
        first = rows.iloc[0]
        row(name, b, f"{first['rate']:.3g}", first["steps"], *(mean(rows[c]) for c in (*columns, *matched)))
    print()
    for one in study.answers:
        print(f"- **{one.arm}**: {one.verdict} at the end, {one.at_same_loss} at the same training loss.")
        print(f"  {one.explanation}.")
    print()
    told = study.verdicts
    for claim in told[told["expects"] == "no difference"].itertuples():
        print(f"- {claim.arm}, {claim.claim}: {claim.verdict}. {claim.explanation}.")
    print()
    for note in study.notes:
        print(f"- {note}")
    print()


def digits_study(chosen: Any, train: Any, test: Any, folder: Path | None) -> None:
    study = dk.compare_batch_sizes(
        mlp,
        nn.CrossEntropyLoss(),
        train,
        [20, 200],
        epochs=chosen.epochs,
        arms=ARMS,
        seeds=range(chosen.seeds),
        val_data=test,
        n_jobs=chosen.jobs,
        folder=folder,
    )
    print("## Do large batches find sharp minima that generalize worse?\n")
    print(f"MLP 64-32-10, ReLU, SGD 0.05, {chosen.epochs} epochs; same loss: {study.target_loss:.3g}.\n")
    show_study(study, COLUMNS, ("lambda_max", "test_accuracy"))
    head("B", "ms per step", "s per epoch", "examples per second", "memory, MiB")
    for one in study.frame.drop_duplicates("batch_size").itertuples():
        price = 1e3 * one.seconds_per_step, one.seconds_per_epoch, one.examples_per_second, one.memory_mib
        row(one.batch_size, *(f"{value:.2g}" for value in price))


def default_cost(train: Any, test: Any) -> None:
    before = time.process_time()
    dk.compare_batch_sizes(mlp, nn.CrossEntropyLoss(), train, [20, 200], val_data=test)
    spent = time.process_time() - before
    print(f"\nThe default (four arms, 20 epochs, 8 seeds): {spent:.0f} s of processor time in one process.\n")


def contrastive_study(chosen: Any, train: Any, test: Any, folder: Path | None) -> None:
    study = dk.compare_batch_sizes(
        encoder,
        info_nce,
        (two_views(train[0]), torch.arange(len(train[1]))),
        [16, 128],
        epochs=10,
        arms=("same epochs", "same steps", "linear rate"),
        seeds=range(chosen.seeds),
        val_data=(two_views(test[0], seed=1), torch.arange(len(test[1]))),
        n_jobs=chosen.jobs,
        folder=folder,
    )
    print("## In-batch negatives (InfoNCE)\n")
    print("Encoder 64-32-16, two views of each digit, SGD 0.05, 10 epochs.\n")
    show_study(
        study, ("train_loss", "test_loss", "lambda_max", "keskar", "distance"), ("lambda_max", "test_loss")
    )


def critical_study(chosen: Any, train: Any, folder: Path | None) -> None:
    found = dk.critical_batch_size(
        mlp,
        nn.CrossEntropyLoss(),
        train,
        [8, 16, 32, 64, 128, 256, 512],
        target_loss=TARGET,
        seeds=range(chosen.seeds),
        n_jobs=chosen.jobs,
        folder=folder,
    )
    print("## Critical batch size\n")
    print(f"The same MLP, steps to a full training loss of {TARGET}; rates tuned for each batch size.\n")
    head("B", "rate", "steps", "examples")
    for b, rate, steps in zip(found.batch_sizes, found.rates, found.steps, strict=True):
        row(b, f"{rate:g}", mean(steps), f"{b * np.mean(steps):.3g}")
    (low, high), (least, most) = found.interval, found.noise_range
    print(f"\nS_min = {found.fit.s_min:.3g} steps, E_min = {found.fit.e_min:.3g} examples.")
    print(f"Critical batch size {found.value:.3g} [{low:.3g}, {high:.3g}], resolved: {found.resolved}.")
    print(
        f"Simple noise scale on the way {found.noise_scale:.3g}, from {least:.3g} to {most:.3g}: it predicts"
    )
    print("the critical batch size within a factor of 10, not better.\n")
    for note in found.notes:
        print(f"- {note}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=22)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--folder", default=None)
    chosen = parser.parse_args()
    train, test = split()

    def part(name: str) -> Path | None:
        return None if chosen.folder is None else Path(chosen.folder) / name

    print("# Batch sizes on digits\n")
    print(f"{datetime.date.today()}, torch {torch.__version__}, CPU, {chosen.jobs} processes of one thread.")
    print(f"Digits (z-score, {TRAIN} for training, {len(test[1])} for testing), {chosen.seeds} paired seeds.")
    print("Means ± standard errors over the seeds; brackets: 95 % intervals of paired differences.\n")
    digits_study(chosen, train, test, part("digits"))
    default_cost(train, test)
    contrastive_study(chosen, train, test, part("contrastive"))
    critical_study(chosen, train, part("critical"))


if __name__ == "__main__":
    main()
