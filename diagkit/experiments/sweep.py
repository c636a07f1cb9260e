"""Many runs: a grid of settings and seeds, in parallel, kept as they finish, resumed where they stopped."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import joblib

from diagkit.errors import InputError
from diagkit.experiments.fingerprint import fingerprint
from diagkit.experiments.grid import Cell, make_grid
from diagkit.experiments.outcome import Run
from diagkit.experiments.store import RunFolder
from diagkit.experiments.sweep_result import Sweep
from diagkit.experiments.workers import execute, takes_all_seeds
from diagkit.work import interrupted, progress, seconds_left


def sweep(
    run: Callable[..., Any],
    settings: Any,
    *,
    seeds: Any,
    n_jobs: int | None = None,
    folder: str | os.PathLike[str] | None = None,
    units: Mapping[str, str] | None = None,
) -> Sweep:
    """Call ``run(**settings, seed=seed)`` for every setting and every seed, and keep what each returns.

    Paired: every setting sees the same seeds. Before a run, Python's, NumPy's and torch's generators are set
    to its seed, so that a model built in it starts from the same weights whatever the setting, and the answer
    is the same, bit for bit, in whatever order and process the runs are done. Each has one torch thread.

    The work can be stopped (:func:`diagkit.watching`, Ctrl-C): what is finished by then is returned, marked
    ``complete=False``. A run that the end of the time cut short is not kept. In other processes the stop
    button waits for the runs in progress, a budget reaches into them, and Ctrl-C ends them.

    Parameters
    ----------
    run : returns a flat dict of scalars, or an :class:`Outcome` with series and tensors too. What it raises
        makes this run a failed one; the others go on. If it takes ``seeds`` instead of ``seed``, it is given
        all seeds of a setting at once and returns a list, one for each: see :func:`train_seeds`.
    settings : ``{"lr": [0.1, 1.0], "momentum": [0.0, 0.9]}`` for all combinations, or a list of dicts.
    seeds : such as ``range(8)``.
    n_jobs : processes at work, -1 for one per core, None for one or what ``joblib.parallel_config`` says.
        Inside ``joblib.parallel_config(backend="dask")`` the workers of a Dask cluster do the runs, best with
        one thread each: runs in threads of one process take turns.
    folder : keeps every run as soon as it is finished, in Parquet and safetensors. The same call goes on with
        what is missing, failed or damaged there; needs ``diagkit[experiments]``.
    units : column -> unit, of settings and results, for tables and axes.

    Raises
    ------
    InputError : settings, seeds or a function that do not fit each other; a folder that holds something else.
    MissingPackageError : ``folder`` without pyarrow and safetensors.

    Example
    -------
    >>> def run(lr, seed):  # gradient descent on w^2 / 2: w -> (1 - lr) w
    ...     return {"w": (1 - lr) ** 3 * (1 + seed)}
    >>> result = sweep(run, {"lr": [0.5, 1.0]}, seeds=range(2), units={"w": "1"})
    >>> result
    Sweep(runs=4, settings=2, seeds=2, failed=0, missing=0)
    >>> result.frame[["lr", "seed", "w"]].values.tolist()
    [[0.5, 0.0, 0.125], [1.0, 0.0, 0.0], [0.5, 1.0, 0.25], [1.0, 1.0, 0.0]]
    """
    grid = make_grid(settings, seeds)
    together = takes_all_seeds(run, grid)
    _check_jobs(n_jobs)
    started, units = time.perf_counter(), dict(units or {})
    store = None if folder is None else RunFolder(folder, grid, fingerprint(run), units)
    done = {} if store is None else store.load(grid.cells)
    kept = len(done)
    tasks = _tasks([cell for cell in grid.cells if cell.key not in done], together)
    stop = threading.Event()
    deadline = time.time() + seconds_left()

    with contextlib.suppress(KeyboardInterrupt), progress("sweep", len(grid.cells)) as advance:
        advance(kept)
        for finished in _results(run, tasks, together, n_jobs, deadline, stop):
            for one in finished:
                done[one.cell.key] = one
                if store is not None:
                    store.save(one)
            advance(len(finished))
            if interrupted():
                stop.set()  # no further task is begun; those in progress are waited for
    notes = [] if store is None else store.notes
    if kept:
        notes.append(f"{kept} of {len(grid.cells)} runs were in {folder} already")
    return Sweep(
        runs=tuple(done[cell.key] for cell in grid.cells if cell.key in done),
        grid=grid,
        units=units,
        notes=tuple(notes),
        seconds=time.perf_counter() - started,
        complete=len(done) == len(grid.cells),
    )


def _results(
    run: Callable[..., Any],
    tasks: list[list[Cell]],
    together: bool,
    n_jobs: int | None,
    deadline: float,
    stop: threading.Event,
) -> Iterator[list[Run]]:
    """Finished runs, task by task, as they come."""
    if interrupted():
        stop.set()
    # Tasks are drawn one by one and only where a worker is free, so that a stop is soon felt.
    calls = (
        joblib.delayed(execute)(run, cells, together, deadline)
        for cells in itertools.takewhile(lambda _: not stop.is_set(), tasks)
    )
    parallel = joblib.Parallel(
        n_jobs=n_jobs,
        return_as="generator_unordered",
        pre_dispatch="n_jobs",
        batch_size=1,
        max_nbytes=None,  # arrays that are mapped into memory are read-only, and torch warns of them
    )
    yield from parallel(calls)


def _tasks(cells: list[Cell], together: bool) -> list[list[Cell]]:
    """What is handed to a worker at once: a run, or all seeds of a setting."""
    if not together:
        return [[cell] for cell in cells]
    groups: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[Cell(cell.settings, 0).key].append(cell)
    return list(groups.values())


def _check_jobs(n_jobs: Any) -> None:
    if n_jobs is None or (isinstance(n_jobs, int) and not isinstance(n_jobs, bool) and n_jobs != 0):
        return
    raise InputError(
        f"n_jobs = {n_jobs!r}",
        allowed="an integer other than 0, -1 for one per core, or None",
        write="n_jobs=2",
    )
