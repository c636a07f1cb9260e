"""Peak memory of each strategy, every one in a process of its own: allowed, used, and what it cost."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import nn

import diagkit as dk
from benchmarks.curvature.models import gpt
from diagkit.clinic.digits import digits


@dataclass(frozen=True)
class Setting:
    what: str
    model: str
    memory_budget: float
    k: int = 5


SETTINGS = (
    Setting("all graphs kept", "gpt", 4 * 2**30),
    Setting("half of the graphs kept", "gpt", 220 * 2**20),
    Setting("no graph kept, batch by batch", "gpt", 32 * 2**20),
    Setting("wide model, basis as it comes", "wide", 8 * 2**30),
    Setting("wide model, basis of 13 vectors, restarted", "wide", 2 * 2**30),
)


def objective(setting: Setting) -> dk.Objective:
    if setting.model == "gpt":
        torch.manual_seed(0)
        case = gpt(0, steps=20)
        return dk.Objective(
            case.model, case.loss_fn, (case.X, case.y), batch_size=16, memory_budget=setting.memory_budget
        )
    torch.manual_seed(0)
    X, y = digits()
    model = nn.Sequential(
        nn.Linear(64, 3100), nn.ReLU(), nn.Linear(3100, 3100), nn.ReLU(), nn.Linear(3100, 10)
    )
    data = X[:256], y[:256]
    return dk.Objective(model, nn.CrossEntropyLoss(), data, memory_budget=setting.memory_budget)


def peak_bytes() -> int:
    """Peak resident memory of this process alone; ``ru_maxrss`` also remembers the one that started it."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def measure(setting: Setting) -> dict[str, object]:
    torch.set_num_threads(1)
    obj = objective(setting)
    cost = dk.estimate_cost(
        dk.Objective(nn.Linear(2, 2), nn.MSELoss(), (torch.ones(4, 2), torch.ones(4, 2))), 1
    )
    del cost  # everything is imported by now
    before, start = peak_bytes(), time.process_time()
    strategy = obj.strategy(35)
    pairs = dk.hessian_eigenvalues(obj, setting.k)
    return {
        "strategy": setting.what,
        "P": obj.num_params,
        "budget MiB": setting.memory_budget / 2**20,
        "kept": f"{sum(strategy.keep)} of {len(strategy.keep)}",
        "products": pairs.num_hvps,
        "converged": bool(pairs.converged.all()),
        "peak MiB beyond start": (peak_bytes() - before) / 2**20,
        "CPU s": time.process_time() - start,
    }


def run() -> pd.DataFrame:
    rows = []
    for index in range(len(SETTINGS)):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.curvature.memory", str(index)],
            capture_output=True,
            text=True,
            check=True,
        )
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(f"  {rows[-1]['strategy']}: {rows[-1]['peak MiB beyond start']:.0f} MiB", flush=True)
    return pd.DataFrame(rows)


if __name__ == "__main__":
    print(json.dumps(measure(SETTINGS[int(sys.argv[1])])))
