"""What does a point of a surface cost, in forward passes, and when do more processes pay? As Markdown.

    python benchmarks/points.py [--device cuda] [--rounds 9] [--jobs 2]

The unit is a bare pass, ``loss_fn(model(X), y)`` under ``no_grad``. All ways are timed in turn, the median of
the rounds' ratios is told; on a CPU process time of one thread, elsewhere wall time with synchronization. In
the second table, wall seconds are only as good as the machine is quiet; the processor seconds of this process
and its workers together tell what spreading the points costs.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import diagkit as dk
from benchmarks.curvature.models import MODELS, Trained
from diagkit.measure.surface.passes import Passes
from diagkit.measure.surface.points import evaluating

POINTS = {"mlp": 64, "cnn": 16, "gpt": 16}


class Case:
    """A trained model on a device, two directions, coordinates of some points."""

    def __init__(self, name: str, device: str) -> None:
        self.made: Trained = MODELS[name]()
        model = self.made.model.to(device)
        self.X, self.y = self.made.X.to(device), self.made.y.to(device)
        self.obj = dk.Objective(model, self.made.loss_fn, (self.X, self.y), batch_size=len(self.X))
        generator = torch.Generator().manual_seed(0)
        self.directions = [
            (torch.randn(self.obj.num_params, generator=generator) / 30).to(device) for _ in range(2)
        ]
        self.coordinates = np.random.default_rng(0).normal(size=(POINTS[name], 2))

    @property
    def clock(self) -> Callable[[], float]:
        if self.X.device.type == "cpu":
            return time.process_time

        def synchronized() -> float:
            torch.cuda.synchronize()
            return time.perf_counter()

        return synchronized

    def bare(self) -> None:
        with torch.no_grad():
            for _ in self.coordinates:
                float(self.made.loss_fn(self.made.model(self.X), self.y))

    def one_by_one(self) -> None:
        """Every point as a call of its own."""
        theta, (d1, d2) = self.obj.theta, self.directions
        for a, b in self.coordinates:
            self.obj.loss(theta + float(a) * d1 + float(b) * d2)

    def at_once(self, size: int) -> Callable[[], list[Tensor]]:
        passes = Passes(self.obj, self.obj.theta, self.directions, at_once=size)

        def run() -> list[Tensor]:
            with self.obj.quiet():
                found = [
                    passes.losses([passes.point(row) for row in self.coordinates[i : i + size]])
                    for i in range(0, len(self.coordinates), size)
                ]
            assert passes.at_once == size, "vmap refused the model"
            return found

        return run


def prices(name: str, device: str, rounds: int) -> list[str]:
    case = Case(name, device)
    ways: dict[str, Callable[[], object]] = {
        "bare": case.bare,
        "obj.loss": case.one_by_one,
        **{str(size): case.at_once(size) for size in (1, 2, 4, 16)},
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for round_ in range(rounds + 1):
        for way, work in ways.items():
            start = case.clock()
            work()
            if round_:  # the first is not counted
                seconds[way].append(case.clock() - start)
    bare = seconds.pop("bare")
    ratios = [statistics.median(t / b for t, b in zip(ts, bare, strict=True)) for ts in seconds.values()]
    one = 1e3 * statistics.median(bare) / len(case.coordinates)
    return [case.made.name, str(case.obj.num_params), f"{one:.2f}", *(f"{ratio:.2f}" for ratio in ratios)]


def processes(name: str, jobs: int, points: int) -> list[str]:
    """One call here and in ``jobs`` processes: starting them, and with them running."""
    case = Case(name, "cpu")
    coordinates = np.random.default_rng(1).normal(size=(points, 2))
    where = (case.obj, case.obj.theta, case.directions)
    with evaluating(*where) as losses_at:
        here, spent_here, expected = timed(lambda: losses_at(coordinates))
    with evaluating(*where, n_jobs=jobs) as losses_at:
        first, _, values = timed(lambda: losses_at(coordinates))
        again, spent, _ = timed(lambda: losses_at(coordinates))
    same = "yes" if np.array_equal(values, expected) else f"to {np.abs(values / expected - 1).max():.0e}"
    seconds = here, first, again, spent_here, spent
    return [case.made.name, str(points), *(f"{s:.1f}" for s in seconds), same]


def processor_seconds() -> float:
    """Of this process and all that it has started and that still run."""
    me = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in (me, *me.children(recursive=True)))


def timed(work: Callable[[], np.ndarray]) -> tuple[float, float, np.ndarray]:
    """Wall seconds, processor seconds, what ``work`` returned."""
    start, spent = time.perf_counter(), processor_seconds()
    answer = work()
    return time.perf_counter() - start, processor_seconds() - spent, answer


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(" | ".join(row).join(("| ", " |")) for row in (head, ["---"] * len(head), *rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    head = [
        "model",
        "P",
        "bare pass, ms",
        "obj.loss",
        "evaluating, in turn",
        *(f"vmap, {n}" for n in (2, 4, 16)),
    ]
    print(table(head, [prices(name, arguments.device, arguments.rounds) for name in MODELS]))
    if arguments.device == "cpu":
        print()
        head = [
            "model",
            "points",
            "here, s",
            f"{arguments.jobs} processes, first call, s",
            "later call, s",
            "processor here, s",
            "processor later call, s",
            "same bits",
        ]
        print(table(head, [processes(n, arguments.jobs, m) for n, m in {"cnn": 400, "gpt": 150}.items()]))


if __name__ == "__main__":
    main()
