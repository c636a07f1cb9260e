"""Points of a surface evaluated by other processes, through joblib: local ones, or a Dask or Ray cluster.

A parcel (the loss, its data and the directions, pickled once) travels with the points until every worker has
opened it; later points come with its token alone. A worker that does not know the token, because it is new or
has forgotten, says so and gets the parcel. A parcel that is not used for half a minute is
forgotten, so that no idle process holds a model; joblib's own local processes end after five idle minutes.
"""

from __future__ import annotations

import copy
import os
import pickle
import platform
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from typing import Any
from uuid import uuid4

import joblib
import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from diagkit.errors import InputError
from diagkit.measure.surface.passes import Passes
from diagkit.work import interrupted

Rows = tuple[tuple[float, ...], ...]  # coordinates of the points of one task
KEPT_SECONDS = 30.0

# -- in the worker ------------------------------------------------------------------------------------


@dataclass
class Opened:
    """A parcel in use: what it held, and when it was used last."""

    passes: Passes
    settings: Settings
    used: float


# One task at a time in a process: a pass changes the model's tables and torch's settings. Threads, where a
# cluster's workers have several, wait here.
_turn = threading.RLock()
_opened: dict[str, Opened] = {}


@dataclass(frozen=True)
class Answer:
    """From a worker: its name and the losses; None where the parcel is needed and did not come along."""

    worker: tuple[str, int, int]
    losses: list[float] | None


def serve(token: str, parcel: np.ndarray | None, rows: Rows) -> Answer | Failure:
    """The losses at ``rows``."""
    worker = (platform.node(), os.getpid(), threading.get_ident())
    with _turn:
        try:
            if token not in _opened:
                if parcel is None:
                    return Answer(worker, None)
                _open(token, parcel)
            opened = _opened[token]
            passes = opened.passes
            with opened.settings.applied(), passes.fixed.quiet():
                losses: list[float] = passes.losses([passes.point(row) for row in rows]).tolist()
            opened.used = time.monotonic()
            return Answer(worker, losses)
        except Exception as error:
            return Failure.of(error)


def _open(token: str, parcel: np.ndarray) -> None:
    passes, settings = pickle.loads(parcel.data)
    _opened[token] = Opened(passes, settings, time.monotonic())
    threading.Thread(target=_forget_when_idle, args=[token], name=f"diagkit-{token}", daemon=True).start()


def _forget_when_idle(token: str) -> None:
    while True:
        with _turn:
            left = _opened[token].used + KEPT_SECONDS - time.monotonic() if token in _opened else 0.0
            if left <= 0:
                _opened.pop(token, None)
                return
        time.sleep(left)


@dataclass(frozen=True)
class Settings:
    """What torch's answers hang on beside its inputs, as the sender had it; one thread for each worker."""

    dtype: torch.dtype
    precision: str

    @classmethod
    def here(cls) -> Settings:
        return cls(torch.get_default_dtype(), torch.get_float32_matmul_precision())

    def _apply(self) -> None:
        torch.set_default_dtype(self.dtype)
        torch.set_float32_matmul_precision(self.precision)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Inside, torch is set so; afterwards as before: the process may be shared with other work."""
        before, threads = Settings.here(), torch.get_num_threads()
        try:
            self._apply()
            torch.set_num_threads(1)
            yield
        finally:
            torch.set_num_threads(threads)
            before._apply()


@dataclass(frozen=True)
class Failure:
    """An exception on its way home.

    It is put together again without its ``__init__``, which may ask for other arguments than ``args`` keeps:
    pickle cannot do that, and a result that cannot be read would break the pool.
    """

    kind: type[BaseException]
    args: tuple[Any, ...]
    trace: str

    @classmethod
    def of(cls, error: Exception) -> Failure:
        trace = "".join(traceback.format_exception(error))
        try:
            pickle.loads(_pickled((type(error), error.args)))
        except Exception:
            return cls(RuntimeError, (f"{type(error).__name__}: {error}",), trace)
        return cls(type(error), error.args, trace)

    def error(self) -> BaseException:
        error = self.kind.__new__(self.kind, *self.args)
        error.args = self.args
        error.add_note(f"Raised in a worker, which must be able to import what the caller can:\n{self.trace}")
        return error


class Workers:
    """Evaluates points in ``n_jobs`` processes, or those of the cluster that joblib is configured for."""

    def __init__(self, passes: Passes, n_jobs: int) -> None:
        self.n_jobs, self.at_once = n_jobs, passes.at_once
        self.token, self.parcel = uuid4().hex, parcel_of(passes)
        self.knowing: set[tuple[str, int, int]] = set()

    def losses(self, coordinates: np.ndarray, advance: Callable[[int], None]) -> list[float]:
        """The losses at coordinates [m, k]; of the first points only, where the work is interrupted."""
        rows: Rows = tuple(tuple(row) for row in coordinates.tolist())
        tasks = [rows[i : i + self.at_once] for i in range(0, len(rows), self.at_once)]
        found: dict[int, list[float]] = {}
        all_know = len(self.knowing) >= joblib.effective_n_jobs(self.n_jobs)
        for parcel in (None, self.parcel) if all_know else (self.parcel,):
            todo = [i for i in range(len(tasks)) if i not in found]
            if not todo or interrupted():
                break
            # Anew for each call: one that was ended has batches left over, and would send them with the next.
            # The processes are the same: joblib keeps them.
            parallel = joblib.Parallel(n_jobs=self.n_jobs, return_as="generator")
            answers = parallel(joblib.delayed(serve)(self.token, parcel, tasks[i]) for i in todo)
            with self._ended(answers):
                for answer, i in zip(answers, todo, strict=True):
                    if isinstance(answer, Failure):
                        raise answer.error()
                    if answer.losses is None:
                        self.knowing.clear()
                        continue
                    self.knowing.add(answer.worker)
                    found[i] = answer.losses
                    advance(len(answer.losses))
                    if interrupted():
                        break
        first = takewhile(found.__contains__, range(len(tasks)))
        return [loss for i in first for loss in found[i]]

    @contextmanager
    def _ended(self, answers: Any) -> Iterator[None]:
        """Afterwards nobody works on what was not answered: joblib ends its local processes.

        An exception thrown into the generator does that without the warning that closing it gives.
        """
        try:
            yield
        finally:
            if answers.gi_frame is not None:  # not at its end
                self.knowing.clear()
                with suppress(_EnoughError):
                    answers.throw(_EnoughError())

    def forget(self) -> None:
        """Let go of the parcel where this process itself was the worker (threads), once its task is done."""
        with _turn:
            _opened.pop(self.token, None)


class _EnoughError(Exception):
    """No more answers are wanted."""


def parcel_of(passes: Passes) -> np.ndarray:
    """Pickled once, as bytes in an array: joblib maps a large array into its processes' memory.

    Raises
    ------
    InputError : something of the model or the loss cannot be pickled.
    """
    sent = copy.copy(passes)
    sent.origin, sent.directions, sent.batches = tree_map(
        _compact, (passes.origin, passes.directions, passes.batches)
    )
    try:
        data = _pickled((sent, Settings.here()))
    except Exception as error:
        raise InputError(
            f"a {type(passes.fixed.model).__name__} or a loss that cannot be sent to another process "
            f"({type(error).__name__}: {error})",
            allowed="with n_jobs other than 1, a model, hooks and a loss that pickle: without locks, open "
            "files or generators",
            write="n_jobs=1",
        ) from error
    return np.frombuffer(data, dtype=np.uint8)


def _pickled(thing: Any) -> bytes:
    """By value where it was defined in a notebook or inside a function."""
    return pickle.dumps(joblib.wrap_non_picklable_objects(thing, keep_wrapper=False))


def _compact(x: Any) -> Any:
    """A view takes along all the memory that it is cut from: a copy does not."""
    if isinstance(x, Tensor) and x.untyped_storage().nbytes() > x.numel() * x.element_size():
        return x.clone()
    return x
