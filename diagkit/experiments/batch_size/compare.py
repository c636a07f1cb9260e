"""Batch sizes compared: train, find the loss that all reach, measure there and at the end, judge."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from diagkit.experiments.batch_size.arms import (
    ARMS,
    TUNED,
    UNTUNED,
    Reference,
    check_arms,
)
from diagkit.experiments.batch_size.claims import Margins, answer, judge_arms
from diagkit.experiments.batch_size.matched_loss import common_loss
from diagkit.experiments.batch_size.point_measures import CHOICES, check_measures, measure_point
from diagkit.experiments.batch_size.preparation import check_rates, check_task
from diagkit.experiments.batch_size.step_cost import step_cost
from diagkit.experiments.batch_size.study import UNITS, BatchSizeStudy
from diagkit.experiments.batch_size.tables import assemble, curves_of, find_points, notes_of
from diagkit.experiments.batch_size.training_runs import OptimizerAt, num_examples, sgd, train_recipe
from diagkit.experiments.batch_size.tuning import FACTORS, tune_rates
from diagkit.experiments.seed_runs import check_seeds
from diagkit.experiments.sweep import sweep
from diagkit.objective import check_count, check_positive


def compare_batch_sizes(
    make_model: Callable[[], nn.Module],
    loss_fn: Callable[..., Tensor],
    data: Any,
    batch_sizes: Iterable[int],
    *,
    lr: float = 0.05,
    epochs: int = 20,
    arms: Iterable[str] = UNTUNED,
    seeds: Iterable[int] = range(8),
    val_data: Any = None,
    optimizer: OptimizerAt = sgd,
    rates: Iterable[float] | None = None,
    target_loss: float | None = None,
    checkpoints: int = 40,
    eval_batch_size: int | None = None,
    max_examples: int | None = 2048,
    measures: Iterable[str] = CHOICES,
    smallest_sharpness: float = 1.25,
    smallest_loss: float = 1.05,
    smallest_accuracy: float = 0.01,
    n_jobs: int | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> BatchSizeStudy:
    r"""Do large batches find sharp minima that generalize worse (Keskar et al. 2017, arXiv:1609.04836)?

    The smallest batch size B_0, at the rate ``lr`` for ``epochs`` epochs, is the reference. Each larger B is
    trained in several arms, as what is held fixed decides the answer:

    ====================  ================  =========================  =======================================
    arm                   rate              steps                      source
    ====================  ================  =========================  =======================================
    "same epochs"         lr                epochs of B: fewer         Keskar et al. 2017
    "same steps"          lr                those of B_0               Hoffer et al. 2017, arXiv:1705.08741
    "linear rate"         lr B / B_0        epochs of B: fewer         Goyal et al. 2017, arXiv:1706.02677
    "square-root rate"    lr sqrt(B / B_0)  epochs of B: fewer         Hoffer et al. 2017
    "tuned rate"          best of "rates"   epochs of B: fewer         Shallue et al. 2019, arXiv:1811.03600
    ====================  ================  =========================  =======================================

    Pairs share a seed: the same initialization, and the same order of the examples in each epoch, cut into
    larger or smaller batches. An epoch has ceil(N / B) steps; the last batch has N mod B examples where B
    does not divide N, counts as a step, and its mean gradient is used like any other. No warm-up, no decay.

    Compared are the ends of the runs and the points where each first reaches ``target_loss``, the lowest
    training loss that every run reaches: full training loss at ``checkpoints``, interpolated between two of
    them (:func:`crossing`); sharpness and noise are measured at the nearer one. Diverged runs have no numbers
    there, and make a verdict inconclusive.

    Parameters
    ----------
    make_model : returns a new model; called with torch's generator at the seed.
    loss_fn : ``loss_fn(outputs, targets)`` -> mean over the batch. A loss that is no mean over examples, such
        as :func:`info_nce`, is found out: every model is then evaluated with batches of ``eval_batch_size``.
    data, val_data : (X, y) or a Dataset. Without ``val_data`` nothing is said of generalization.
    arms : names from the table; ``ARMS`` is all of them.
    optimizer : ``optimizer(parameters, rate)``; plain SGD.
    rates : tried for "tuned rate" at every batch size, on four other seeds; lr times 1, 2, 4, ..., 64.
    checkpoints : evaluations of each run, at most. Parameters are kept there:
        runs x checkpoints x P x 4 bytes.
    eval_batch_size : for a loss that depends on the batch; the smallest batch size, at least 16.
    max_examples : training examples on which sharpness and noise are measured.
    measures : what is measured at the points, "lambda_max", "trace", "keskar", "noise_scale". Keskar's takes
        two thirds of the time; with none of them there are learning curves alone.
    smallest_sharpness, smallest_loss, smallest_accuracy : the smallest effects that matter: factors, and a
        difference of accuracies (0.01 is one percentage point).
    n_jobs, folder : as in :func:`diagkit.sweep`. The same call with the same folder goes on where it stopped.

    Raises
    ------
    InputError : unknown arms, batch sizes beyond the data, data that come in batches, curves that need too
        much memory.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> X = torch.linspace(-1, 1, 32)[:, None]
    >>> study = dk.compare_batch_sizes(
    ...     lambda: nn.Linear(1, 1), nn.MSELoss(), (X, 3 * X), [4, 16],
    ...     arms=["same epochs"], lr=0.02, seeds=range(2), checkpoints=6
    ... )
    >>> loss = study.frame.groupby("batch_size")["train_loss"].mean()  # B = 16 has a quarter of the steps
    >>> bool(loss[16] > 2 * loss[4])
    True
    """
    started = time.perf_counter()
    measures = check_measures(measures)
    chosen_arms, chosen_seeds = check_arms(arms), check_seeds(seeds)
    check_positive("lr", lr)
    check_count("epochs", epochs)
    check_count("checkpoints", checkpoints, least=2)
    check_count("max_examples", max_examples, optional=True, least=2)
    check_positive("smallest_accuracy", smallest_accuracy)
    for name, factor in {"smallest_sharpness": smallest_sharpness, "smallest_loss": smallest_loss}.items():
        check_positive(f"{name} - 1", factor - 1, write=f"{name}=1.25")
    task, sizes, notes = check_task(
        make_model, loss_fn, data, val_data, optimizer, batch_sizes, checkpoints, eval_batch_size
    )
    if val_data is None:
        notes.append("no val_data: nothing is said of generalization")
    reference = Reference(sizes[0], float(lr), epochs, num_examples(data))
    where = None if folder is None else Path(folder)

    def part(name: str) -> Path | None:
        return None if where is None else where / name

    tuned: Mapping[int, float] = {}
    if TUNED in chosen_arms:
        grid = check_rates([lr * f for f in FACTORS] if rates is None else rates)
        tuned, more = tune_rates(task, reference, sizes, grid, chosen_seeds, n_jobs, part("tuning"))
        notes = notes + more
    recipes = {(arm, b): ARMS[arm](reference, b, tuned) for arm in chosen_arms for b in sizes}
    distinct = [recipe.settings for recipe in dict.fromkeys(recipes.values())]
    training = sweep(
        functools.partial(train_recipe, task=task),
        distinct,
        seeds=chosen_seeds,
        n_jobs=n_jobs,
        folder=part("training"),
        units=UNITS,
    )
    target = target_loss
    if target is None:
        target = common_loss(run.outcome.series for run in training.runs if run.outcome is not None)
    points = find_points(training, float(target))
    measured = sweep(
        functools.partial(
            measure_point, task=task, points=points, max_examples=max_examples, measures=measures
        ),
        [settings | {"target": at} for settings in distinct for at in (None, float(target))],
        seeds=chosen_seeds,
        n_jobs=n_jobs,
        folder=part("measured"),
        units=UNITS,
    )
    costs = sweep(
        functools.partial(step_cost, task=task),
        [{"batch_size": b, "rate": float(lr)} for b in sizes],
        seeds=chosen_seeds[:1],
        n_jobs=1,  # alone: a step that shares the machine says little
        folder=part("costs"),
        units=UNITS,
    )
    frame = assemble(recipes, training, measured, costs, float(target))
    judged = judge_arms(
        frame, chosen_arms, sizes, Margins(smallest_sharpness, smallest_loss, smallest_accuracy)
    )
    answers = [answer(judged, arm, sizes[-1]) for arm in chosen_arms]
    sweeps = (training, measured, costs)
    return BatchSizeStudy(
        frame=frame,
        curves=curves_of(recipes, training, costs),
        target_loss=float(target),
        judged=judged,
        answers=tuple(one for one in answers if one is not None),
        arms=chosen_arms,
        batch_sizes=sizes,
        seeds=chosen_seeds,
        rates=tuned,
        notes=tuple(notes + notes_of(sweeps, frame, reference, sizes)),
        training=training,
        measured=measured,
        costs=costs,
        seconds=time.perf_counter() - started,
        complete=all(one.complete for one in sweeps),
    )
