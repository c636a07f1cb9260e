"""Who takes part in a measurement: this process alone, or all ranks of a process group, once they are there.

The ranks meet through the group's key-value store and not by a collective: a rank that waits for others in
vain can leave, and the group still works.
"""

from __future__ import annotations

import math
import os
import time
from typing import Any

import torch.distributed as dist

from diagkit.errors import InputError, RankError
from diagkit.objective.ranks import Alone, Ranks

TIMEOUT_VARIABLE = "DIAGKIT_RANKS_TIMEOUT"  # seconds
TIMEOUT = 60.0
_meetings: dict[tuple[int, ...], int] = {}  # how many each group has had


def meet(process_group: Any = None) -> Alone | Ranks:
    """Wait until every rank of the group is here.

    Parameters
    ----------
    process_group : None for the default group where ``torch.distributed`` is initialized with more than one
        rank, and this process alone otherwise; False for this process alone; or a ``ProcessGroup``.

    Raises
    ------
    RankError : some rank did not come within 60 s (DIAGKIT_RANKS_TIMEOUT seconds).
    InputError : not a process group, or one that this rank is not in.

    Example
    -------
    >>> meet().size
    1
    """
    group = chosen_group(process_group)
    if group is None:
        return Alone()
    ranks = Ranks(group)
    _wait_for_all(ranks)
    return ranks


def chosen_group(process_group: Any) -> Any:
    """The process group meant, None for this process alone."""
    allowed = "None (the default group), False (this process alone), or a torch.distributed.ProcessGroup"
    if process_group is False:
        return None
    running = dist.is_available() and dist.is_initialized()
    if process_group is None:
        group = dist.group.WORLD if running else None
    elif running and isinstance(process_group, dist.ProcessGroup):
        group = process_group
    elif running and process_group is dist.GroupMember.NON_GROUP_MEMBER:
        raise InputError("a process_group that this rank is not in", allowed=allowed)
    else:
        raise InputError(f"process_group={process_group!r}", allowed=allowed, write="process_group=False")
    return None if group is None or dist.get_world_size(group) == 1 else group


def _wait_for_all(ranks: Ranks) -> None:
    from torch.distributed.distributed_c10d import _get_default_store  # there is no public way to it

    store, members = _get_default_store(), tuple(dist.get_process_group_ranks(ranks.group))
    number = _meetings.get(members, 0)
    place = f"diagkit/{'-'.join(map(str, members)) if len(members) < 64 else hash(members)}/{number}"
    seconds = _timeout()
    store.set(f"{place}/{ranks.rank}", "here")
    everyone, there = f"{place}/all", store.add(f"{place}/count", 1) == ranks.size
    if there:
        store.set(everyone, "here")
    deadline, pause = time.monotonic() + seconds, 0.001
    try:
        while not there and time.monotonic() < deadline:
            time.sleep(pause)
            pause = min(2 * pause, 0.1)
            there = store.check([everyone])
    finally:
        # Adding is atomic: whoever comes later sees that somebody has left, unless all were there already.
        if not there:
            there = store.add(f"{place}/count", -1) >= ranks.size - 1
    if not there:
        missing = [i for i in range(ranks.size) if not store.check([f"{place}/{i}"])]
        names = ", ".join(ranks.name(i) for i in missing) or "the others, which have left again,"
        raise RankError(
            f"{ranks.name(ranks.rank)} made an Objective and waited {seconds:g} s in vain for the same call "
            f"on {names}. Make it on every rank; or, to measure the data of this rank alone (behind "
            "`if rank == 0`, say), write Objective(..., process_group=False). The seconds are set by "
            f"{TIMEOUT_VARIABLE}"
        )
    _meetings[members] = number + 1


def _timeout() -> float:
    given = os.environ.get(TIMEOUT_VARIABLE, "") or TIMEOUT
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise InputError(f"{TIMEOUT_VARIABLE}={given!r}", allowed="a positive number of seconds", write="60")
    return seconds
