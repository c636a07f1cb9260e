"""Run a function on several ranks of a gloo group, each in its own process, and never wait forever."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import sys
import time
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist


class HungError(AssertionError):
    """Some rank was still running at the deadline."""


def on_ranks(scene: Callable[..., Any], size: int, folder: Path, *, seconds: float = 60.0) -> list[Any]:
    """What ``scene(rank)`` returned on each rank; None for a rank that did not get that far.

    The processes are forked from one server that has imported torch once. ``folder`` must be empty.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "diagkit"])
    processes = [context.Process(target=_play, args=(scene, rank, size, folder)) for rank in range(size)]
    for process in processes:
        process.start()
    deadline = time.monotonic() + seconds
    for process in processes:
        process.join(max(0.0, deadline - time.monotonic()))
    hung = [rank for rank, process in enumerate(processes) if process.is_alive()]
    for process in processes:
        process.kill()
        process.join()
    if hung:
        raise HungError(f"ranks {hung} of {scene.__name__} did not end within {seconds} s")
    said = [folder / f"rank-{rank}" for rank in range(size)]
    return [pickle.loads(path.read_bytes()) if path.exists() else None for path in said]


def _play(scene: Callable[..., Any], rank: int, size: int, folder: Path) -> None:
    if sys.platform == "linux":
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"  # whatever this machine calls itself
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    dist.init_process_group(
        "gloo",
        init_method=f"file://{folder}/store",
        rank=rank,
        world_size=size,
        timeout=timedelta(seconds=30),
    )
    answer = scene(rank)
    (folder / f"rank-{rank}").write_bytes(pickle.dumps(answer))
    dist.destroy_process_group()
