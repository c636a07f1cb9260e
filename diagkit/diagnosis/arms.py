"""The ways to go on that trials compare."""

from __future__ import annotations

from typing import Any

import torch

from diagkit.diagnosis.trial import Arm
from diagkit.diagnosis.twin import (
    Twin,
    enlarge_batch,
    place_at,
    scale_rate,
    start_afresh,
    switch_to_adam,
    thaw,
)
from diagkit.objective import Objective

AS_IS = Arm("as is", "as before", lambda twin, seed: twin)
TIMES = 16  # fewer where that many examples in a step would take too long: see Bench
LARGER_BATCH = Arm(
    "larger batch", f"a batch up to {TIMES} times as large", lambda twin, seed: enlarge_batch(twin, TIMES)
)
THAWED = Arm("thawed", "all parameters trained", lambda twin, seed: thaw(twin))
FRESH = Arm("fresh", "freshly initialized, same settings", lambda twin, seed: start_afresh(twin, seed))


def rate_times(factor: float) -> Arm:
    """Another learning rate from this checkpoint."""
    words = f"learning rate x {factor:g}"
    return Arm(words, words, lambda twin, seed: scale_rate(twin, factor))


def at_rate(rate: float) -> Arm:
    """This learning rate in the first group from this checkpoint, in others as they began beside it."""

    def change(twin: Twin, seed: int) -> Twin:
        first = twin.optimizer.param_groups[0].get("initial_lr")
        for group in twin.optimizer.param_groups:
            beside = group.get("initial_lr", first) / first if first else 1.0
            group["lr"] = torch.full_like(group["lr"], rate) * beside if _is_tensor(group) else rate * beside
        return twin

    words = f"learning rate {rate:.3g}"
    return Arm(words, words, change)


def _is_tensor(group: dict[str, Any]) -> bool:
    """Rates of capturable optimizers are tensors and stay such."""
    return isinstance(group["lr"], torch.Tensor)


def fresh_rate_times(factor: float) -> Arm:
    """Another learning rate from a fresh initialization."""
    words = f"freshly initialized, learning rate x {factor:g}"
    return Arm(words, words, lambda twin, seed: scale_rate(start_afresh(twin, seed), factor))


def adam(rate: float) -> Arm:
    """Another optimizer from this checkpoint."""
    words = f"Adam at {rate:g}"
    return Arm(words, words, lambda twin, seed: switch_to_adam(twin, rate))


def fresh_adam(rate: float) -> Arm:
    """Fresh initialization and another optimizer."""
    words = f"freshly initialized, Adam at {rate:g}"
    return Arm(words, words, lambda twin, seed: switch_to_adam(start_afresh(twin, seed), rate))


def from_point(objective: Objective, theta: Any, words: str) -> Arm:
    """Go on as before, from another point."""

    def change(twin: Twin, seed: int) -> Twin:
        return place_at(twin, objective, theta)

    return Arm(words, words, change)
