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
from diagkit.diagnosis.check import Check, Judgement
from diagkit.diagnosis.checks import all_checks
from diagkit.diagnosis.report import Finding, Question, Report
from diagkit.diagnosis.threads import fastest_threads
from diagkit.errors import InputError, NonFiniteError
from diagkit.measure import loss_plane
from diagkit.objective import same_random_state
from diagkit.training import as_history
from diagkit.work import interrupted, progress, watching

NEEDS = {
    "optimizer": "optimizer=... is needed to judge the learning rate",
    "history": "history=... is needed to judge the curve",
}
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
    val_data, scheduler, train_step : accepted for the checks to come; the report says that nothing asked
        for them yet.

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
    case = Case(
        model,
        loss_fn if step is None else None,
        train_data,
        step=step,
        optimizer=optimizer,
        scheduler=scheduler,
        history=as_history(history),
        budget=budget,
        seed=seed,
    )
    unused = [
        f"{name} was given, but no check of this version uses it"
        for name, value in (("val_data", val_data), ("scheduler", scheduler), ("train_step", train_step))
        if value is not None
    ]
    started = time.perf_counter()
    with same_random_state(), watching(budget=budget), _threads(case):
        found, questions = _climb(case)
        # No place, no surface: the gradient is not finite there, or the time was up.
        surface = _surface(case) if "place" in case.__dict__ and not interrupted() else None
        stopped = interrupted()
    return assemble(case, found, questions, surface, unused, stopped, time.perf_counter() - started)


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


def _threads(case: Case) -> AbstractContextManager[object]:
    """Bad input is refused here, before any work; what is not finite is left to its check."""
    try:
        objective = case.objective
    except NonFiniteError:
        return nullcontext()
    return fastest_threads(objective.gradient)


def _climb(case: Case) -> tuple[list[tuple[Check, Finding]], list[Question]]:
    found: list[tuple[Check, Finding]] = []
    questions: list[Question] = []
    blocked = ""
    checks = all_checks()
    with progress("questions", len(checks)) as advance:
        for check in checks:
            missing = [need for need in check.needs if getattr(case, need) is None]
            reason = blocked or (
                "not asked: the time was up"
                if interrupted()
                else f"not asked: {NEEDS[missing[0]]}"
                if missing
                else ""
            )
            faults = [finding.cause for _, finding in found if finding.verdict == "supported"]
            if (check.outcome or check.dear) and faults and not reason:
                reason = f"not asked: {faults[0]} explains the stall"
            if reason:
                questions.append(Question(check.question, check.cause, reason, False, "", 0.0))
            else:
                started = time.perf_counter()
                finding = _ask(check, case)
                seconds = time.perf_counter() - started
                found.append((check, finding))
                questions.append(
                    Question(check.question, check.cause, finding.statement, True, finding.verdict, seconds)
                )
                if check.before_objective and finding.verdict == "supported":
                    blocked = f"not asked: {check.cause} comes first"
            advance(1)
    return found, questions


def _ask(check: Check, case: Case) -> Finding:
    evidence = check.measure(case)
    judgement: Judgement = check.judge(evidence)
    supported = judgement.verdict == "supported"
    return Finding(
        cause=check.cause,
        meaning=check.meaning,
        verdict=judgement.verdict,
        certainty=judgement.certainty,
        statement=check.answer(evidence, judgement),
        evidence=evidence.results,
        remedy=check.remedy(evidence) if supported else "",
        code=check.code if supported else "",
        trial=evidence.trial,
        source=check.source,
    )


def _surface(case: Case) -> Any:
    """The loss in the plane of lowest and highest curvature, as far out as the place suggests."""
    vectors = (case.place.smallest.vectors[0], case.place.largest.vectors[0])
    escape = case.__dict__.get("escape")
    length = (
        abs(escape.step)
        if escape is not None and escape.escaped
        else 0.05 * float(case.objective.theta.norm())
    )
    extent = SURFACE_STEP * length or 1.0
    plane = loss_plane(case.objective, vectors, extent=extent, resolution=33, tol=0.02)
    return replace(plane, kind="eigenvectors")
