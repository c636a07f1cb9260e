"""What does following the sharpness cost? Training with and without a tracker, as Markdown.

    python benchmarks/tracker_overhead.py [--seconds 20] [--rounds 5]

Plain loops, default cadence, process time. Overhead is seen in three ways: what a run takes more than the run
without before it (in turn; only as good as the machine is quiet), what is spent inside the tracker's calls,
its construction included, by what is spent outside, and the tracker's own account (wall time). The other
table is the price of one measurement, from the last eigenvectors (warm) and from a random vector (cold), at
the same points of one run.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

import diagkit as dk
from diagkit.objective import of_model, thinned
from diagkit.spectral import follow

BATCH = 32


def digits() -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return torch.as_tensor(bunch.data / 16.0, dtype=torch.float32), torch.as_tensor(bunch.target)


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 10),
    )


MODELS: dict[str, Callable[[], nn.Module]] = {"digits MLP": mlp, "digits CNN": cnn}
OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9),
    "Adam": lambda parameters: torch.optim.Adam(parameters, lr=1e-3),
}


def make(name: str, kind: str) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = MODELS[name]()
    return model, OPTIMIZERS[kind](model.parameters())


@dataclass
class Run:
    """Process seconds of a plain loop, of those inside the tracker's calls, what it found, final weights."""

    seconds: float
    inside: float
    track: Any
    weights: list[Tensor]

    @property
    def share(self) -> float:
        return self.inside / (self.seconds - self.inside)


def run(name: str, kind: str, steps: int, tracked: bool) -> Run:
    model, optimizer = make(name, kind)
    (X, y), loss_fn = digits(), nn.CrossEntropyLoss()
    started = time.process_time()
    tracker = dk.CurvatureTracker((model, loss_fn, (X, y)), optimizer=optimizer) if tracked else None
    inside = time.process_time() - started
    for _ in range(steps):
        chosen = torch.randint(len(X), (BATCH,))
        optimizer.zero_grad()
        loss_fn(model(X[chosen]), y[chosen]).backward()
        optimizer.step()
        if tracker is not None:
            entered = time.process_time()
            tracker.step()
            inside += time.process_time() - entered
    seconds = time.process_time() - started
    track = None if tracker is None else tracker.track
    return Run(seconds, inside, track, [p.detach() for p in model.parameters()])


def overhead(name: str, kind: str, seconds: float, rounds: int) -> list[str]:
    run(name, kind, 100, tracked=True)  # nothing is done for the first time afterwards
    steps = int(500 * seconds / run(name, kind, 500, tracked=False).seconds)
    pairs = []
    for _ in range(rounds):
        pairs.append((run(name, kind, steps, tracked=False), run(name, kind, steps, tracked=True)))
        plain, tracked = pairs[-1]
        assert all(torch.equal(a, b) for a, b in zip(plain.weights, tracked.weights, strict=True))
    tracks = [tracked.track for _, tracked in pairs]
    return [
        f"{name}, {kind}",
        str(steps),
        f"{statistics.median(len(track.steps) for track in tracks):.0f}",
        f"{statistics.mean(track.num_hvps / len(track.steps) for track in tracks):.1f}",
        percent([tracked.seconds / plain.seconds - 1 for plain, tracked in pairs]),
        percent([tracked.share for _, tracked in pairs]),
        percent([track.overhead for track in tracks]),
    ]


def percent(shares: list[float]) -> str:
    return f"{100 * statistics.median(shares):.1f} ({', '.join(f'{100 * share:.1f}' for share in shares)})"


def warm_and_cold(name: str, kind: str, k: int, every: int, tol: float = 1e-2) -> list[str]:
    """Products of both at the same points of one run, and how often the warm one found less."""
    model, optimizer = make(name, kind)
    data, loss_fn = digits(), nn.CrossEntropyLoss()
    obj = thinned(dk.Objective(model, loss_fn, data), 512)
    vectors, warm, cold, lanczos, missed = None, [], [], [], 0

    def compare(info: Any) -> None:
        nonlocal vectors, missed
        if info.step % every:
            return
        here = of_model(obj, model)
        with here.products() as H:
            options: dict[str, Any] = {"tol": tol, "dtype": torch.float32, "seed": info.step}
            found = follow(H.matvec, here.num_params, k, vectors, **options)
            afresh = follow(H.matvec, here.num_params, k, **options)
        full = dk.hessian_eigenvalues(here, k, tol=tol)
        if vectors is not None:
            warm.append(found.num_products)
            cold.append(afresh.num_products)
            lanczos.append(full.num_hvps)
            missed += bool((found.values < full.values - full.residuals - found.residuals).any())
        vectors = found.vectors

    dk.train(
        model, loss_fn, data, optimizer=optimizer, max_steps=40 * every + 1, batch_size=BATCH,
        callbacks=[compare],
    )  # fmt: skip
    means = [f"{statistics.mean(counts):.1f}" for counts in (warm, cold, lanczos)]
    return [f"{name}, {kind}", str(k), str(every), *means, f"{missed} of {len(warm)}"]


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(" | ".join(row).join(("| ", " |")) for row in (head, ["---"] * len(head), *rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="process time of one run without tracker")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    cases = [(name, kind) for name in MODELS for kind in OPTIMIZERS]
    rows = [
        warm_and_cold(name, kind, k, every) for name, kind in cases for k in (1, 3) for every in (20, 200)
    ]
    print(
        table(["run", "k", "steps between", "warm", "cold", "hessian_eigenvalues", "warm found less"], rows)
    )
    print()
    rows = [overhead(name, kind, arguments.seconds, arguments.rounds) for name, kind in cases]
    head = ["run", "steps", "measurements", "products each", "more than without, % (each round)"]
    head += ["inside its calls, %", "own account, %"]
    print(table(head, rows))


if __name__ == "__main__":
    main()
