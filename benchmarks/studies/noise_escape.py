"""Escape from a start at zero: nets, levels of noise, seeds."""

from __future__ import annotations

from pathlib import Path

import diagkit as dk
from benchmarks.studies.tables import Markdown, inside, machine, table, verdicts
from diagkit.clinic.digits import digits
from diagkit.experiments import PAPER_NET


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
                found = arm["accuracy"]
                middle = f"{found.mean():.3f} ({found.min():.2f} to {found.max():.2f})"
                moving = f"{arm['parameters_with_gradient'].mean():.0f} of {study.num_params}"
                successes = f"{rate.successes} of {rate.runs} [{low:.2f}, {high:.2f}]"
                rows.append([start, "yes" if noise else "no", successes, middle, moving])
        lines += table(
            ["start", "noise", "successes", "accuracy: mean, range", "entries with a gradient"], rows
        )
        lines += verdicts(study)
    return lines
