"""Climb the ladder of questions, cheap proofs before dear trials, and rank what is found."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from diagkit.diagnosis.assembly import assemble
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.checks import all_checks
from diagkit.diagnosis.ladder import climb
from diagkit.diagnosis.own_step.in_use import optimizer_in_use, scheduler_in_use
from diagkit.diagnosis.report import Report
from diagkit.diagnosis.threads import fastest_threads
from diagkit.errors import InputError, NoGradientError, NonFiniteError
from diagkit.measure import PlaneSlice, loss_plane
from diagkit.objective import same_random_state
from diagkit.training import as_history
from diagkit.work import interrupted, watching

ONE_DIRECTION = 0.999  # |cosine| from which two vectors span no plane
SURFACE_STEP = 2.0  # extent of the surface, in units of the step off a saddle or of a tenth of ||theta||


def diagnose(
    model: nn.Module,
    loss_fn: Callable[..., Tensor] | None,
    train_data: Any,
    *,
    val_data: Any = None,
    optimizer: torch.optim.Optimizer | None = None,
    scheduler: Any = None,
    history: Any = None,
    step: Callable[[nn.Module, Any], Tensor] | None = None,
    train_step: Callable[[Any], Any] | None = None,
    budget: float = 60.0,
    seed: int = 0,
) -> Report:
    """Why did the loss stop falling, and what helps? Nothing of the user's is changed.

    Parameters
    ----------
    model, loss_fn, train_data : as for :class:`diagkit.Objective`; up to 4096 examples are used.
    optimizer : the one in use; without it, learning rates are not judged and trials use Adam.
    history : History, dict of series, list of losses, Recorder, TrainingRun or path of a log.
    step : ``step(model, batch)`` -> scalar loss, instead of ``loss_fn`` (pass None).
    budget : seconds. What did not fit is listed in ``not_seen``.
    val_data : as ``train_data``; read once, never trained on.
    scheduler : of the learning rate.
    train_step : ``train_step(batch)``, one step of your own loop on this model and optimizer. It is run a few
        times and observed; then everything that it can reach is put back, bit for bit. What it wrote to files
        and loggers stays written, and an iterator of its own stays where it is: the report names it. Without
        it, faults of the loop itself cannot be seen.

    Returns
    -------
    Report with ``.cause``, ``.findings`` (each with evidence, remedy and its trial) and ``.questions``.

    Raises
    ------
    InputError : arguments that cannot be used, named before any work starts.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> X = torch.randn(64, 3, generator=torch.manual_seed(0))
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    >>> for p in net.parameters():
    ...     _ = torch.nn.init.zeros_(p)
    >>> dk.diagnose(net, torch.nn.MSELoss(), (X, X.sum(1, keepdim=True)), budget=10).cause
    'symmetric-initialization'
    """
    _check_arguments(model, loss_fn, step, optimizer, budget)
    _check_train_step(train_step)
    case = Case(
        model,
        loss_fn if step is None else None,
        train_data,
        step=step,
        train_step=train_step,
        val_data=val_data,
        optimizer=optimizer_in_use(model, optimizer, train_step),
        scheduler=scheduler_in_use(scheduler, train_step),
        history=as_history(history),
        budget=budget,
        seed=seed,
    )
    started = time.perf_counter()
    with same_random_state(), watching(budget=budget), _threads(case):
        ladder = climb(case, all_checks())
        surface = None if ladder.blocked or interrupted() else _surface(case)
        stopped = interrupted()
    return assemble(case, ladder, surface, stopped, time.perf_counter() - started)


def _check_arguments(model: Any, loss_fn: Any, step: Any, optimizer: Any, budget: float) -> None:
    if not isinstance(model, nn.Module):
        raise InputError(f"model of type {type(model).__name__}", allowed="a torch.nn.Module")
    if (loss_fn is None) == (step is None):
        given = "neither loss_fn nor step" if loss_fn is None else "both loss_fn and step"
        raise InputError(given, allowed="one of them", write="diagnose(model, None, data, step=step)")
    if optimizer is not None and not isinstance(optimizer, torch.optim.Optimizer):
        raise InputError(
            f"optimizer of type {type(optimizer).__name__}",
            allowed="a torch.optim.Optimizer or None",
            write="optimizer=torch.optim.SGD(model.parameters(), lr=0.1)",
        )
    if not budget > 0:
        raise InputError(f"budget = {budget!r}", allowed="a positive number of seconds", write="budget=60")


def _check_train_step(train_step: Any) -> None:
    if train_step is not None and not callable(train_step):
        raise InputError(
            f"train_step of type {type(train_step).__name__}",
            allowed="a function of one batch, or None",
            write="train_step=lambda batch: trainer.training_step(batch)",
        )


def _threads(case: Case) -> AbstractContextManager[object]:
    """Bad input is refused here, before any work; what has a check of its own is left to it."""
    try:
        objective = case.objective
    except (NonFiniteError, NoGradientError):
        return nullcontext()
    return fastest_threads(objective.gradient)


def _surface(case: Case) -> PlaneSlice | None:
    """The loss in the plane of lowest and highest curvature, as far out as the place suggests.

    Where there is no curvature to choose by, in a random plane.
    """
    options: dict[str, Any] = {"resolution": 33, "tol": 0.02, "seed": case.seed}
    if not case.place_seen:
        try:
            return loss_plane(case.objective, **options)
        except InputError:
            return None  # no weights of a length to go by: all zero, or biases alone
    low, high = case.place.smallest, case.place.largest
    vectors = (low.vectors[0], high.vectors[0])
    flat = max(abs(float(ends.values[0])) for ends in (low, high)) <= high.rounding
    if flat or abs(float(vectors[0] @ vectors[1])) > ONE_DIRECTION:
        return None  # no curvature at all, as where every output is cut off
    escape = case.__dict__.get("escape")
    length = (
        abs(escape.step)
        if escape is not None and escape.escaped
        else 0.05 * float(case.objective.theta.norm())
    )
    plane = loss_plane(case.objective, vectors, extent=SURFACE_STEP * length or 1.0, **options)
    return replace(plane, kind="eigenvectors")
