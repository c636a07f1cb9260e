"""The runs of a study as tables: points to measure, a row per run, curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from diagkit.experiments.batch_size.arms import Recipe, Reference
from diagkit.experiments.batch_size.matched_loss import crossing
from diagkit.experiments.batch_size.point_measures import UNKNOWN, Points
from diagkit.experiments.batch_size.study import UNITS
from diagkit.experiments.outcome import Run
from diagkit.experiments.sweep_result import Sweep

Recipes = Mapping[tuple[str, int], Recipe]


def find_points(training: Sweep, target: float) -> Points:
    """Parameters at the end of each run and at the checkpoint nearest to the loss ``target``."""
    points = Points()
    for run in training.runs:
        if run.outcome is None:
            continue
        key = (*_key(run.cell.settings),)
        theta, buffers = run.outcome.tensors["theta"], run.outcome.tensors["buffers"]
        nearest = crossing(run.outcome.series, target).nearest
        for at, index in ((None, -1), (target, nearest)):
            if index is not None:
                points.add((*key, at, run.cell.seed), theta[index], buffers[index])
    return points


def assemble(recipes: Recipes, training: Sweep, measured: Sweep, costs: Sweep, target: float) -> pd.DataFrame:
    """A row per arm, batch size and seed."""
    runs = _by_recipe(training)
    found = {
        (*_key(run.cell.settings), run.cell.settings["target"], run.cell.seed): run.outcome.scalars
        for run in measured.runs
        if run.outcome is not None
    }
    prices = _prices(costs)
    rows = []
    for (arm, batch_size), recipe in recipes.items():
        for run in runs.get(recipe, []):
            assert run.outcome is not None
            key = (*_key(recipe.settings), None, run.cell.seed)
            crossed = crossing(run.outcome.series, target)
            there = found.get((*_key(recipe.settings), target, run.cell.seed), UNKNOWN)
            price = prices.get(batch_size, {})
            per_step = price.get("seconds_per_step", float("nan"))
            rows.append(
                {"arm": arm, "batch_size": batch_size, "seed": run.cell.seed}
                | {"rate": recipe.rate, "steps": run.outcome.scalars["steps_taken"]}
                | {k: v for k, v in run.outcome.scalars.items() if k != "steps_taken"}
                | dict(found.get(key, UNKNOWN))
                | {f"matched_{name}": value for name, value in (crossed.values | dict(there)).items()}
                | {
                    "matched_seconds": crossed.values["step"] * per_step,
                    "measured_train_loss": crossed.train_loss,
                }
                | price
                | {"training_seconds": run.outcome.scalars["steps_taken"] * per_step}
            )
    frame = pd.DataFrame(rows)
    frame.attrs["units"] = {name: unit for name, unit in UNITS.items() if name in frame}
    return frame


def curves_of(recipes: Recipes, training: Sweep, costs: Sweep) -> pd.DataFrame:
    """All curves under each other; seconds are steps times the time of a step on its own."""
    runs, prices = _by_recipe(training), _prices(costs)
    tables = []
    for (arm, batch_size), recipe in recipes.items():
        per_step = prices.get(batch_size, {}).get("seconds_per_step", float("nan"))
        for run in runs.get(recipe, []):
            assert run.outcome is not None
            series = run.outcome.series
            about = {"arm": arm, "batch_size": batch_size, "seed": run.cell.seed}
            table = series.assign(**about, seconds=series["step"] * per_step)
            first = [*about, "step", "epoch", "seconds"]
            tables.append(table[[*first, *(name for name in series if name not in first)]])
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def notes_of(
    sweeps: Sequence[Sweep], frame: pd.DataFrame, reference: Reference, sizes: Sequence[int]
) -> list[str]:
    """What happened on the way."""
    notes = [note for one in sweeps for note in one.notes]
    for one in sweeps:
        notes += [f"{len(one.failed)} runs failed, the first with: {e}" for e in one.failed["error"][:1]]
    if frame.empty:
        return notes
    if frame["diverged"].any():
        lost = frame[frame["diverged"]].groupby(["arm", "batch_size"]).size()
        named = ", ".join(f"{n} in {arm!r} at B = {b}" for (arm, b), n in lost.items())
        notes.append(f"diverged: {named}; they are in no mean, and a verdict with them is inconclusive")
    off = float(
        (np.log(frame["measured_train_loss"]) - np.log(frame["measured_train_loss"].mean())).abs().max()
    )
    notes.append(
        "matched losses: steps, test loss and distance are interpolated; sharpness is measured at the "
        f"nearest checkpoint, whose training losses agree within {100 * np.expm1(off):.0f} %"
    )
    notes.append(
        f"seconds: steps times the time of one step, measured alone with one model on one thread; B = "
        f"{reference.batch_size} is the reference in every arm"
    )
    return notes


def _key(settings: Mapping[str, Any]) -> tuple[Any, ...]:
    return settings["batch_size"], settings["rate"], settings["steps"]


def _by_recipe(training: Sweep) -> dict[Recipe, list[Run]]:
    table: dict[Recipe, list[Run]] = {}
    for run in training.runs:
        if run.outcome is not None:
            table.setdefault(Recipe(*_key(run.cell.settings)), []).append(run)
    return table


def _prices(costs: Sweep) -> dict[Any, dict[str, Any]]:
    return {
        run.cell.settings["batch_size"]: dict(run.outcome.scalars)
        for run in costs.runs
        if run.outcome is not None
    }
