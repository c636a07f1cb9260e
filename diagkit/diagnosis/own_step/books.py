"""The books of a few observed steps: what the gradient was, what the optimizer saw, what moved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from diagkit.result import Result


@dataclass
class Tensors:
    """One number per tensor, by its name."""

    after_backward: dict[str, float] = field(default_factory=dict)  # ||.grad|| when backward was done
    at_step: dict[str, float] = field(default_factory=dict)  # ||.grad|| when the optimizer was called
    moved: dict[str, float] = field(default_factory=dict)  # ||update||
    carried: dict[str, bool] = field(default_factory=dict)  # .grad holds that of the last update too


@dataclass
class Rounding:
    """Sums over updates, for one tensor, against the same update computed in more digits.

    along : <update made, exact update>. exact : ||exact update||^2. bearing : entries that the exact update
    changes by more than float32 could lose. unmoved : those of them that are bit-identical afterwards.
    """

    along: float = 0.0
    exact: float = 0.0
    bearing: int = 0
    unmoved: int = 0


@dataclass
class Update:
    """One call of an optimizer. ``tensors`` by name; ``decay`` is the cosine of the update with -w."""

    call: int
    rate: float
    closure: bool
    tensors: Tensors = field(default_factory=Tensors)
    decay: float | None = None

    def total(self, what: str) -> float:
        """Norm over all tensors of one of the books."""
        return float(np.linalg.norm(list(getattr(self.tensors, what).values()) or [0.0]))


@dataclass(frozen=True)
class Forward:
    """A forward pass with gradients on: of the whole model, or of a layer whose mode matters."""

    call: int
    name: str
    training: bool


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class OwnStep(Result):
    """What a few calls of the user's step did.

    Attributes
    ----------
    calls : how often the step was called. updates : one entry per call of an optimizer, in order.
    forwards : passes with gradients on. scheduler_steps [calls] : steps of the learning-rate schedule.
    scales [calls] : of the gradient scaler, NaN without one. rounding : by tensor, where it was measured.
    changed, received : names of the model's tensors whose value changed, that a gradient came to.
    foreign : tensors of the optimizer that are not the model's. pairs : shapes that met in a loss or a
    difference and did not agree. error : what the step raised. notes : what could not be put back.
    """

    calls: int
    updates: tuple[Update, ...] = ()
    forwards: tuple[Forward, ...] = ()
    scheduler_steps: tuple[int, ...] = ()
    scales: tuple[float, ...] = ()
    rounding: dict[str, Rounding] = field(default_factory=dict)
    changed: frozenset[str] = frozenset()
    received: frozenset[str] = frozenset()
    foreign: tuple[str, ...] = ()
    pairs: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = ()
    error: str = ""
    notes: tuple[str, ...] = ()

    def of(self, what: str) -> np.ndarray:
        """``after_backward``, ``at_step`` or ``moved``: the norm over all tensors, [updates]."""
        return np.array([update.total(what) for update in self.updates])

    def summary(self) -> dict[str, Any]:
        return {
            "calls": self.calls,
            "updates": len(self.updates),
            "gradient_after_backward": self.of("after_backward"),
            "gradient_at_step": self.of("at_step"),
            "moved": self.of("moved"),
            "scheduler_steps": sum(self.scheduler_steps),
        }
