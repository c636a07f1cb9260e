"""Sums over the ranks of a process group: each holds a share of the data, all get the same numbers.

Every rank runs the same solver on the same sums, so that all take the same decisions and make the same calls
("lockstep"). A sum travels in one ``all_reduce`` of float64, with a few slots behind it: has a rank failed,
was one interrupted, do all stand at the same point. ``all_reduce`` gives every rank the same bits
(data-parallel training rests on that as well: replicas that add the same sum stay replicas).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from diagkit.errors import InputError, RankError
from diagkit.work import decide_together, interrupted_here

SLOTS = 6  # failed, interrupted, and the fingerprint f [2] with its square
# Relative difference of fingerprints that counts as another point; not 0, for unlike machines round unlike.
SAME_POINT = 1e-5
TEXT_BYTES = 600  # of what a failed rank tells the others


class Alone:
    """One process that holds all the data: nothing to add up."""

    rank, size = 0, 1

    def start(self) -> None:
        """A measurement begins."""
        decide_together(None)

    def total(
        self, work: Callable[[], Tensor], length: int, device: torch.device, point: Tensor | None = None
    ) -> Tensor:
        """What ``work`` returns [length]."""
        return work()

    @contextmanager
    def together(self, point: Tensor | None = None) -> Iterator[None]:
        """Nobody else to wait for."""
        decide_together(None)
        yield

    def quota(self, limit: Any) -> Any:
        """All of the ``limit`` examples."""
        return limit

    def count(self, number: int) -> int:
        """``number`` itself."""
        return number

    def least(self, number: int) -> int:
        """``number`` itself."""
        return number

    def refuse(self, what: str) -> None:
        """Nothing is refused."""


class Ranks:
    """The ranks of a process group that work in lockstep; see :func:`diagkit.objective.meeting.meet`."""

    def __init__(self, group: Any) -> None:
        self.group = group
        self.rank, self.size = dist.get_rank(group), dist.get_world_size(group)
        self.needs_cuda = dist.get_backend(group) == "nccl"
        self._lost = ""

    def start(self) -> None:
        """A measurement begins: whether it is interrupted is decided by all, in the next sum."""
        decide_together(False)

    def total(
        self, work: Callable[[], Tensor], length: int, device: torch.device, point: Tensor | None = None
    ) -> Tensor:
        """The sum over ranks of what ``work`` returns there [length], in float64; the same on every rank.

        Parameters
        ----------
        work : this rank's part. Where it raises, this rank still takes part in the sum and raises afterwards.
        point : theta or v, what ``work`` is done at: must be the same on every rank.

        Raises
        ------
        RankError : another rank failed, or was lost. InputError : the ranks stand at different points.
        """
        vector = self._empty(length, device)
        try:
            vector[:length] = work()
            failure = None
        except BaseException as error:
            failure = error
        self._close(vector, failure, point)
        return vector[:length].to(device)

    @contextmanager
    def together(self, point: Tensor | None = None) -> Iterator[None]:
        """What is inside is done by every rank; where one fails, all raise."""
        failure = None
        try:
            yield
        except BaseException as error:
            failure = error
        self._close(self._empty(0, self.exchange_device), failure, point)

    def quota(self, limit: Any) -> Any:
        """This rank's part of a ``limit`` on all examples together."""
        if limit is None or isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            return limit  # whoever reads the data says what is wrong
        if limit < self.size:
            raise InputError(
                f"max_examples = {limit} of {self.size} ranks together",
                allowed="one example per rank or more",
            )
        return limit * (self.rank + 1) // self.size - limit * self.rank // self.size

    def count(self, number: int) -> int:
        """The sum of an integer over the ranks."""
        return int(self.gather(torch.tensor([number])).sum())

    def least(self, number: int) -> int:
        """The least of an integer over the ranks."""
        return int(self.gather(torch.tensor([number])).min())

    def refuse(self, what: str) -> None:
        """Raise on every rank where ``what`` needs all the data in one process."""
        raise InputError(
            f"{what}, with the data shared among {self.size} ranks",
            allowed="an objective of one process: each rank sees only its own share here",
            write="Objective(model, loss_fn, data, process_group=False), on one rank",
        )

    @property
    def exchange_device(self) -> torch.device:
        """Where small things are exchanged, whatever device the model is on."""
        return torch.device("cuda", torch.cuda.current_device()) if self.needs_cuda else torch.device("cpu")

    def gather(self, row: Tensor) -> Tensor:
        """The rows [m] of all ranks, [ranks, m]; m must be the same on each."""
        rows = torch.zeros(self.size, row.numel(), dtype=row.dtype, device=self.exchange_device)
        rows[self.rank] = row.to(rows.device)
        self._sum(rows)
        return rows.cpu()

    def from_first(self, tensor: Tensor) -> Tensor:
        """The tensor of the first rank, bit by bit; shape and dtype must be the same on each."""
        data = tensor.to(self.exchange_device).reshape(-1).view(torch.uint8).clone()
        with self._watched():
            dist.broadcast(data, dist.get_global_rank(self.group, 0), group=self.group)
        return data.view(tensor.dtype).reshape(tensor.shape).to(tensor.device)

    def name(self, index: int) -> str:
        """Rank ``index`` of this group by its number among all processes."""
        return f"rank {dist.get_global_rank(self.group, index)}"

    def _empty(self, length: int, device: torch.device) -> Tensor:
        device = torch.device("cpu") if device.type == "mps" else device
        return torch.zeros(length + SLOTS, dtype=torch.float64, device=device)

    def _close(self, vector: Tensor, failure: BaseException | None, point: Tensor | None) -> None:
        """Add up ``vector`` with its slots, and do what they say."""
        if self._lost:
            raise failure or RankError(self._lost)
        flags = torch.tensor([float(failure is not None), float(interrupted_here())], dtype=torch.float64)
        vector[-SLOTS : 2 - SLOTS] = flags.to(vector.device)
        if point is not None and failure is None:
            seen = fingerprint(point).to(vector.device)
            vector[2 - SLOTS :] = torch.cat([seen, seen**2])
        self._sum(vector)
        failed, stopped, *seen_by_all = vector[-SLOTS:].tolist()
        if failed:
            texts = self._texts("" if failure is None else f"{type(failure).__name__}: {failure}")
            raise failure or RankError(
                "; ".join(f"{self.name(i)} failed with {text}" for i, text in texts.items())
                + f" ({self.name(self.rank)} ends with it: all ranks must make the same calls)"
            )
        decide_together(stopped > 0)
        if point is not None and apart(seen_by_all[:2], seen_by_all[2:], self.size):
            raise InputError(
                "parameters or vectors that differ between the ranks (replicas-out-of-sync)",
                allowed="the same theta, v, directions and seed on every rank",
                write="torch.distributed.broadcast(vector, 0) before the call",
            )

    def _texts(self, text: str) -> dict[int, str]:
        """What the ranks that failed have to say."""
        row = torch.zeros(TEXT_BYTES, dtype=torch.uint8)
        data = text.encode(errors="replace")[:TEXT_BYTES]
        row[: len(data)] = torch.tensor(list(data), dtype=torch.uint8)
        rows = [bytes(r.tolist()).rstrip(b"\0").decode(errors="ignore") for r in self.gather(row)]
        return {index: said for index, said in enumerate(rows) if said}

    def _sum(self, vector: Tensor) -> None:
        with self._watched():
            dist.all_reduce(vector, group=self.group)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Say what it means when the backend gives up."""
        if self._lost:
            raise RankError(self._lost)
        try:
            yield
        except RuntimeError as error:
            self._lost = (
                f"{self.name(self.rank)} lost the others: one of them has ended (killed, out of memory, an "
                "error outside of diagkit: see its own output), or does not make the same calls (a "
                "measurement behind `if rank == 0` needs an Objective with process_group=False)"
            )
            raise RankError(f"{self._lost}. {str(error).splitlines()[0]}") from error


def fingerprint(point: Tensor) -> Tensor:
    """[2]: the norm of a vector and the cosine of its angle to (1, ..., 1); left on its device."""
    point = point.detach().reshape(-1)
    point = point if point.device.type == "mps" else point.double()
    norm = point.norm()
    tiny = torch.finfo(point.dtype).tiny
    return torch.stack([norm, point.sum() / (norm.clamp_min(tiny) * math.sqrt(point.numel()))])


def apart(sums: list[float], squares: list[float], count: int) -> bool:
    """Do ``count`` fingerprints differ, by the sums of them and of their squares?

    count * sum f^2 - (sum f)^2 is count^2 times their variance.

    Example
    -------
    >>> apart([2.0, 0.2], [2.0, 0.02], 2), apart([2.0, 0.2], [2.0, 0.04], 2)
    (False, True)
    """
    variance = [count * q - s**2 for s, q in zip(sums, squares, strict=True)]
    return variance[0] > SAME_POINT**2 * count * squares[0] or variance[1] > (SAME_POINT * count) ** 2
