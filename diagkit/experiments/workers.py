"""One task of a sweep, alone in its process: seeded, on one thread, quiet, stopped at the deadline."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from diagkit.errors import InputError
from diagkit.experiments.grid import Cell, Grid
from diagkit.experiments.outcome import Outcome, Run, as_outcome
from diagkit.objective.trace import same_random_state, seed_everything
from diagkit.work import interrupted_here, watching

# Threads of one process share Python's, NumPy's and torch's generators: runs in them take turns.
_ALONE = threading.RLock()


def takes_all_seeds(run: Callable[..., Any], grid: Grid) -> bool:
    """Does ``run`` take ``seeds``, several together, or ``seed``?

    Raises
    ------
    InputError : neither, or not the settings of the grid.
    """
    if not callable(run):
        raise InputError(f"run={run!r}", allowed="a function run(setting=..., seed=...) -> dict of scalars")
    signature, settings = inspect.signature(run), grid.settings[0]
    for name in ("seed", "seeds"):
        try:
            signature.bind(**settings, **{name: 0})
        except TypeError:
            continue
        return name == "seeds"
    wanted = ", ".join([*grid.names, "seed"])
    raise InputError(
        f"run with the arguments {signature}",
        allowed="one that takes the settings by their names, and seed (or seeds, to train several together)",
        write=f"def run({wanted}): ...",
    )


def execute(run: Callable[..., Any], cells: Sequence[Cell], together: bool, deadline: float) -> list[Run]:
    """Run the cells, all of one setting; an empty list where the time was up before they were done.

    Whatever ``run`` raises is kept as a failed run. torch has one thread meanwhile, as sums over several come
    out differently in the last digits; the caller's random state and threads are afterwards as before.

    Parameters
    ----------
    together : hand over all seeds at once. deadline : on the clock of ``time.time``, which processes share.
    """
    seeds = [cell.seed for cell in cells]
    left = None if deadline == float("inf") else max(0.0, deadline - time.time())
    with _ALONE, _one_thread(), same_random_state(), watching(budget=left, listener=lambda *_: None):
        seed_everything(seeds[0])
        started, error = time.perf_counter(), ""
        outcomes: list[Outcome | None] = [None] * len(cells)
        try:
            settings = dict(cells[0].settings)
            returned = run(**settings, seeds=seeds) if together else [run(**settings, seed=seeds[0])]
            if len(returned) != len(cells):
                raise InputError(
                    f"{len(returned)} results for {len(cells)} seeds", allowed="a list with one for each seed"
                )
            outcomes = [as_outcome(one, tuple(settings)) for one in returned]
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}"
        seconds = (time.perf_counter() - started) / len(cells)
        if interrupted_here():  # what was cut short looks like a result and is none
            return []
    return [
        Run(cell, None if error else one, seconds, error) for cell, one in zip(cells, outcomes, strict=True)
    ]


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
