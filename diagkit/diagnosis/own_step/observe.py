"""A few calls of the user's step, observed, and everything put back."""

from __future__ import annotations

import itertools
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from diagkit.diagnosis.case import Case
from diagkit.diagnosis.own_step.books import OwnStep
from diagkit.diagnosis.own_step.feed import batches_for
from diagkit.diagnosis.own_step.in_use import schedulers_of
from diagkit.diagnosis.own_step.observer import Observer
from diagkit.diagnosis.own_step.reach import reached
from diagkit.diagnosis.own_step.shapes import LostPairs, Pair
from diagkit.diagnosis.own_step.snapshot import restored
from diagkit.objective import same_data_order
from diagkit.work import interrupted, progress

ENOUGH_UPDATES = 4
MOST_CALLS = 36  # so that two updates are seen where gradients of sixteen batches are accumulated
SHARE = 0.1  # of the time budget


def own_step(case: Case) -> OwnStep | None:
    """The books of ``case.train_step``, kept; None where none was given."""
    if case.train_step is None:
        return None
    return case.once("own step", lambda: _of_case(case))


def notes_of(case: Case) -> tuple[str, ...]:
    """What running the user's step may have left behind, if it was run."""
    kept = case._kept.get("own step")
    return () if kept is None else kept.notes


def observe_in_training(case: Case) -> OwnStep:
    """The same, with the whole model put in training mode before."""
    return case.once("own step, in training", lambda: _of_case(case, in_training=True))


def _of_case(case: Case, in_training: bool = False) -> OwnStep:
    assert case.train_step is not None
    case.everything  # noqa: B018 (settles how the data are cut)
    with same_data_order(case.train_data):
        return observe(
            case.model,
            case.optimizer,
            case.train_step,
            batches_for(case.train_data, case.batch_size, case.seed, lambda: case.read),
            scheduler=case.scheduler,
            seconds=SHARE * case.budget,
            seed=case.seed,
            in_training=in_training,
        )


def observe(
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None,
    step: Callable[[Any], Any],
    batches: Iterator[Any],
    *,
    scheduler: Any = None,
    seconds: float = 6.0,
    seed: int = 0,
    in_training: bool = False,
) -> OwnStep:
    """Call ``step(batch)`` until four updates were seen, at most 36 times, and put everything back.

    An optimizer that the step uses and that was not given is found through hooks, a schedule or a gradient
    scaler through what the step closes over. ``in_training``: put the model in training mode first. What the
    step raises ends the observation and is kept as ``error``.

    Example
    -------
    >>> net = torch.nn.Linear(1, 1)
    >>> sgd = torch.optim.SGD(net.parameters(), lr=0.1)
    >>> def step(batch):
    ...     net(batch).sum().backward()
    ...     sgd.zero_grad()
    ...     sgd.step()
    >>> books = observe(net, sgd, step, iter([torch.ones(2, 1)] * 4))
    >>> books.calls, books.of("at_step").tolist(), bool(books.of("after_backward")[0] > 0)
    (4, [0.0, 0.0, 0.0, 0.0], True)
    """
    started = time.perf_counter()
    schedulers = [scheduler] if scheduler is not None else schedulers_of(step)
    scalers = [s for s in reached(step, torch.amp.GradScaler) if s.is_enabled()]
    observer = Observer(model, optimizer)
    cadence: list[int] = []
    levels: list[float] = []
    error, calls = "", 0
    started_at = {name: p.detach().clone() for name, p in model.named_parameters()}
    with restored(model=model, optimizer=optimizer, scheduler=scheduler, step=step) as snapshot:
        if in_training:
            model.train()
        observer.snapshot = snapshot
        with observer.watching(), warnings.catch_warnings(), LostPairs() as pairs:
            warnings.simplefilter("ignore")  # the user has seen them; here they are not news
            with progress("your own step", MOST_CALLS) as advance:
                for call in itertools.count():
                    observer.call = call
                    counts = [_count(s) for s in schedulers]
                    try:
                        step(next(batches))
                    except StopIteration:
                        break
                    except Exception as raised:
                        error = f"{type(raised).__name__}: {raised}"
                        break
                    calls += 1
                    cadence.append(
                        sum(_count(s) - before for s, before in zip(schedulers, counts, strict=True))
                    )
                    levels.append(min((float(s.get_scale()) for s in scalers), default=float("nan")))
                    advance(1)
                    late = time.perf_counter() - started > seconds and calls > 1
                    enough = len(observer.updates) >= ENOUGH_UPDATES and calls >= ENOUGH_UPDATES
                    if enough or late or calls == MOST_CALLS or interrupted():
                        break
        changed = {n for n, p in model.named_parameters() if not torch.equal(p.detach(), started_at[n])}
    return OwnStep(
        calls=calls,
        changed=frozenset(changed),
        received=frozenset(observer.received),
        updates=tuple(observer.updates),
        forwards=tuple(observer.forwards),
        scheduler_steps=tuple(cadence),
        scales=tuple(levels),
        rounding=observer.rounding,
        foreign=tuple(observer.foreign.values()),
        pairs=tuple(pairs.found),
        error=error,
        notes=_notes(calls, snapshot.lost, pairs.found, error),
        seconds=time.perf_counter() - started,
        seed=seed,
        complete=not error and (len(observer.updates) >= ENOUGH_UPDATES or calls == MOST_CALLS),
    )


def _count(scheduler: Any) -> int:
    return int(getattr(scheduler, "last_epoch", 0))


def _notes(calls: int, lost: list[str], pairs: list[Pair], error: str) -> tuple[str, ...]:
    notes = [
        f"your step was called {calls} times on the live model; what it can reach was put back, what it may "
        "have written to files, loggers or other processes was not"
    ]
    if lost:
        notes.append(f"your step may have moved what cannot be put back: {'; '.join(dict.fromkeys(lost))}")
    for name, left, right in pairs:
        notes.append(f"in your step {name} met shapes {left} and {right}: each entry with all others")
    if error:
        notes.append(f"your step raised {error}")
    return tuple(notes)
