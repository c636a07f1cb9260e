"""The simple noise scale along runs, from the start to a training loss."""

from __future__ import annotations

import numpy as np

from diagkit.experiments.batch_size.evaluation import load
from diagkit.experiments.batch_size.matched_loss import crossing
from diagkit.experiments.batch_size.training_runs import Task
from diagkit.experiments.seed_runs import made
from diagkit.experiments.sweep_result import Sweep
from diagkit.measure import gradient_noise
from diagkit.objective import Objective
from diagkit.work import interrupted, progress

NUM_SEEDS = 3
PARTS = (0.25, 0.5, 0.75, 1.0)  # of the steps to the target


def noise_scales(task: Task, runs: Sweep, batch_size: int, target: float) -> np.ndarray:
    """B_simple in examples at four points of the first three runs with ``batch_size``; inf if not resolved.

    Empty for a loss that is not a mean over examples: an example has no gradient of its own there.
    """
    if task.eval_batch_size is not None:
        return np.zeros(0)
    chosen = [
        run for run in runs.runs if run.outcome is not None and run.cell.settings["batch_size"] == batch_size
    ][:NUM_SEEDS]
    found: list[float] = []
    with progress("noise scale on the way", len(chosen) * len(PARTS)) as advance:
        for run in chosen:
            assert run.outcome is not None
            steps = run.outcome.series["step"].to_numpy(float)
            end = crossing(run.outcome.series, target).values["step"]
            for part in PARTS:
                if interrupted():
                    return np.array(found)
                at = int(np.abs(steps - part * end).argmin())
                point = (run.outcome.tensors[name][at] for name in ("theta", "buffers"))
                model = load(made(task.make_model, run.cell.seed), *point)
                obj = Objective(model, task.loss_fn, task.data, process_group=False)
                found.append(gradient_noise(obj).noise_scale)
                advance(1)
    return np.array(found)
