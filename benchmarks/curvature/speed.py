"""CPU seconds for the top five eigenvalues, one thread, all packages in one process, in turn.

A peer counts where every value is within 5e-3 of the truth (float64, residual 1e-8). "Plain" are settings
that somebody would use unseen; "hindsight" is the cheapest of its settings that turns out accurate, which
nobody can know beforehand. Ours is always asked for explicit residuals of 1e-3 |lambda|.
"""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

import diagkit as dk
from benchmarks.curvature.models import MODELS, Trained
from benchmarks.curvature.peers import PEERS, K, Solver, diagkit

ACCURATE = 5e-3
REPEATS = {"mlp": 9, "cnn": 5, "gpt": 1}  # a run of the GPT takes seconds


def cpu_seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    answer = work()
    return time.process_time() - start, answer


def truth(case: Trained) -> np.ndarray:
    inputs = case.X.double() if case.X.is_floating_point() else case.X
    obj = dk.Objective(copy.deepcopy(case.model).double(), case.loss_fn, (inputs, case.y))
    pairs = dk.hessian_eigenvalues(obj, K, tol=1e-8)
    assert pairs.converged.all()
    return pairs.values


def one_gradient(case: Trained) -> float:
    def work() -> None:
        torch.autograd.grad(case.loss_fn(case.model(case.X), case.y), list(case.model.parameters()))

    return float(np.median([cpu_seconds(work)[0] for _ in range(9)]))


def compare(case: Trained, repeats: int) -> list[dict[str, Any]]:
    """A row per solver. Each is run in turn, ``repeats`` times, after one run that is not counted."""
    true, gradient = truth(case), one_gradient(case)
    solvers: list[Solver] = [diagkit(case)]
    for peer in PEERS:
        solvers += list(peer(case))
    rows, timed = [], []
    for solver in solvers:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values, products = solver.run()
        error = np.abs(np.sort(values)[::-1] / true - 1).max()
        if solver.plain or error <= ACCURATE:
            timed.append(solver)
        rows.append({"solver": solver.name, "plain": solver.plain, "error": error, "products": products})
    seconds: dict[str, list[float]] = {solver.name: [] for solver in timed}
    for _ in range(repeats):
        for solver in timed:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                seconds[solver.name].append(cpu_seconds(solver.run)[0])
    for row in rows:
        row["seconds"] = float(np.median(seconds.get(row["solver"], [np.nan])))
        row["gradients"] = row["seconds"] / gradient
        row["model"], row["P"] = case.name, case.num_params
    return rows


def run(
    names: Sequence[str] = tuple(MODELS), seeds: Sequence[int] = (0, 1), quick: bool = False
) -> pd.DataFrame:
    torch.set_num_threads(1)
    rows = []
    for name in names:
        for seed in seeds:
            more = compare(MODELS[name](seed), 1 if quick else REPEATS[name])
            rows += [{"seed": seed, **row} for row in more]
            print(
                f"  {name}, seed {seed}: {more[0]['seconds']:.3f} s, {more[0]['products']} products",
                flush=True,
            )
    return pd.DataFrame(rows)


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Per model: our seconds and products, and the ratios to the best valid peer, plain and in hindsight."""
    rows = []
    for (model, seed), part in frame.groupby(["model", "seed"], sort=False):
        ours = part[part.solver == "diagkit"].iloc[0]
        valid = part[(part.solver != "diagkit") & (part.error <= ACCURATE)]
        plain = valid[valid.plain].nsmallest(1, "seconds").iloc[0]
        hindsight = valid.nsmallest(1, "seconds").iloc[0]
        rows.append(
            {
                "model": model,
                "seed": seed,
                "P": ours.P,
                "products": int(ours.products),
                "in gradients": ours.gradients,
                "error": ours.error,
                "best plain peer": plain.solver,
                "ratio plain": plain.seconds / ours.seconds,
                "best in hindsight": hindsight.solver,
                "ratio hindsight": hindsight.seconds / ours.seconds,
            }
        )
    return pd.DataFrame(rows)
