"""Small models are fastest on one thread, large ones on many: measure, choose, and put back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

REPEATS = 3
WORTH_IT = 0.7  # many threads must be clearly faster: on a busy machine they may win once and then spin


@contextmanager
def fastest_threads(work: Callable[[], object]) -> Iterator[int]:
    """Inside, torch uses one thread unless many are clearly faster at typical work; yields the number.

    Threads that wait for each other cost a small model more than they give, above all on a busy machine.
    """
    before = torch.get_num_threads()
    try:
        if before > 1:
            work()  # warm
            many = _shortest(work)
            torch.set_num_threads(1)
            if many < WORTH_IT * _shortest(work):
                torch.set_num_threads(before)
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def _shortest(work: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)
