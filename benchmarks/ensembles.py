"""Seeds trained together or one by one: which is faster? Digits, one thread, as Markdown.

    python benchmarks/ensembles.py [--steps 40] [--rounds 3] > benchmarks/results/ensembles.md

Process time per step and model, in turn, the best of the rounds; one by one is dk.train with its history,
as it would be used otherwise. The last column is what diagkit.experiments.pays_together says.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn

from diagkit.clinic.digits import digits
from diagkit.experiments import pays_together, train_seeds

SEEDS = (1, 4, 8, 20)
BATCHES = (8, 32, 256)


def mlp(width: int, depth: int = 1) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        sizes = [64] + [width] * depth
        hidden = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU())]
        return nn.Sequential(*hidden, nn.Linear(width, 10))

    return make


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 8, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 10),
    )


MODELS: dict[str, Callable[[], nn.Module]] = {
    "MLP 64-32-10": mlp(32),
    "MLP 64-128-10": mlp(128),
    "MLP 64-512-10": mlp(512),
    "MLP 4 x 128": mlp(128, 4),
    "MLP 2 x 1024": mlp(1024, 2),
    "CNN 8, 16": cnn,
}


def milliseconds(
    make: Callable[[], nn.Module], batch: int, seeds: int, steps: int, rounds: int
) -> tuple[float, float]:
    """Per step and model: one by one, and together; in turn, so that both see the same machine."""
    data = digits()
    times: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(rounds):
        for together, found in times.items():
            started = time.process_time()
            train_seeds(
                make,
                nn.CrossEntropyLoss(),
                data,
                optimizer=lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
                seeds=range(seeds),
                max_steps=steps,
                batch_size=batch,
                together=together,
            )
            found.append(1e3 * (time.process_time() - started) / steps / seeds)
    return min(times[False]), min(times[True])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    print("# Seeds trained together\n")
    print(f"torch {torch.__version__}, one thread, SGD with momentum, {chosen.steps} steps.")
    print(f"Process time in ms per step and model, best of {chosen.rounds}; one by one is `dk.train`.\n")
    print("| model | parameters | batch | seeds | one by one | together | times as fast | `pays_together` |")
    print("|---|---:|---:|---:|---:|---:|---:|---|")
    for name, make in MODELS.items():
        model = make()
        size = sum(p.numel() for p in model.parameters())
        for batch in BATCHES:
            for seeds in SEEDS:
                if size > 1e6 and (seeds > 8 or batch > 32):
                    continue  # minutes, and the answer shows before
                alone, together = milliseconds(make, batch, seeds, chosen.steps, chosen.rounds)
                says = "yes" if pays_together(model, seeds, batch) else "no"
                print(
                    f"| {name} | {size} | {batch} | {seeds} | {alone:.3g} | {together:.3g} "
                    f"| {alone / together:.2f} | {says} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
