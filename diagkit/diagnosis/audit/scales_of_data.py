"""Scales of inputs and targets, and the ways to go on with scaled ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from diagkit.diagnosis import arms
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.trial import Arm, Trial
from diagkit.diagnosis.twin import Twin, can_start_afresh
from diagkit.objective import call_model

ADAM_RATE = 1e-2
TENFOLD = 10.0  # a scale or an offset so far from one is worth a trial; the trial decides


@dataclass(frozen=True)
class Affine:
    """z = (x - shift) / scale, per column where there are columns."""

    shift: Tensor
    scale: Tensor

    @classmethod
    def of(cls, values: Tensor) -> Affine:
        """To mean 0 and variance 1: each column of [n, d]; images and sequences as a whole."""
        v = values.detach().double()
        dims = (0,) if v.ndim == 2 else tuple(range(v.ndim))
        spread = v.std(dims, correction=0)
        return cls(v.mean(dims), torch.where(spread > 0, spread, torch.ones_like(spread)))

    def apply(self, x: Tensor) -> Tensor:
        return (x - self.shift.to(x)) / self.scale.to(x)

    def inverse(self, z: Tensor) -> Tensor:
        return z * self.scale.to(z) + self.shift.to(z)


@dataclass(frozen=True)
class Scales:
    """How far values are from mean 0 and scale 1.

    ratio : largest over smallest standard deviation of a column. offset : largest |mean| over it. size : root
    mean square of all entries, or its inverse where that is larger. lost : how many times fewer directions
    share the second moment, beyond the strongest, than after scaling. steeper : how many times larger the
    strongest is. Columns that do not vary are left out.
    """

    ratio: float
    offset: float
    size: float
    lost: float
    steeper: float

    @property
    def worst(self) -> float:
        """What is worth a trial where it is large. The ratio alone is not: a faint column does no harm."""
        return max(self.size, self.lost)


def scales_of(values: Tensor) -> Scales:
    """Of inputs or targets [n, ...]."""
    affine = Affine.of(values)
    v = values.detach().double()
    rms = float(v.square().mean().sqrt())
    varies = v.std((0,) if v.ndim == 2 else None, correction=0) > 0
    if not bool(varies.any()) or rms == 0:
        return Scales(1.0, 0.0, 1.0, 1.0, 1.0)
    spread, mean = affine.scale[varies], affine.shift[varies]
    lost, steeper = 1.0, 1.0
    if v.ndim == 2:
        before, after = (strongest(x[:, varies]) for x in (v, affine.apply(v)))
        lost = (after[1] - 1) / max(before[1] - 1, 1e-12)
        steeper = before[0] / after[0]
    ratio, offset = float(spread.max() / spread.min()), float((mean.abs() / spread).max())
    return Scales(ratio, offset, max(rms, 1.0 / rms), lost, steeper)


def strongest(columns: Tensor) -> tuple[float, float]:
    """Largest eigenvalue of the second moment of [x, 1], the Hessian of least squares, and trace over it."""
    with_bias = torch.cat([columns, torch.ones_like(columns[:, :1])], dim=1)
    values = torch.linalg.svdvals(with_bias).square() / len(columns)
    return float(values[0]), float(values.sum() / values[0])


def scale_inputs(twin: Twin, affine: Affine) -> Twin:
    """The copy scales the first tensor that it is called with."""

    def scaled(_module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (affine.apply(args[0]), *args[1:])

    twin.model.register_forward_pre_hook(scaled)
    return twin


def scale_targets(twin: Twin, affine: Affine, loss_fn: Callable[..., Tensor]) -> Twin:
    """The copy gives outputs in the units of the targets, and trains on both scaled."""
    twin.model.register_forward_hook(lambda _module, _args, output: affine.inverse(output))

    def step(model: nn.Module, payload: Any) -> Tensor:
        inputs, targets = payload
        return loss_fn(affine.apply(call_model(model, inputs)), affine.apply(targets))

    return replace(twin, step=step)


def tried_afresh(
    case: Case, words: str, change: Callable[[Twin], Twin], steeper: float = 1.0
) -> tuple[Trial, bool] | None:
    """From fresh starts, with and without the change: at the rate in use, at another, else with Adam.

    A rate that was chosen for one scale may suit no other. Where the problem was ``steeper`` by so much, the
    scaled one takes a rate higher by as much; that rate alone must not do it. (trial, helps); None where no
    fresh start can be had.
    """
    if not can_start_afresh(case.model):
        return None

    def arm(start: Arm) -> Arm:
        return Arm(
            f"{start.name}, {words}", f"{start.words}, {words}", lambda t, s: change(start.change(t, s))
        )

    first = case.try_afresh(arm(arms.FRESH))
    if case.helps(first):
        return first, True
    if steeper >= TENFOLD and case.optimizer is not None:
        higher = arms.fresh_rate_times(steeper)
        trial, alone = case.try_afresh(arm(higher)), case.bench.compare(arm(higher), higher)
        if case.helps(trial) and case.helps(alone):
            return trial, True
    adam = arms.fresh_adam(ADAM_RATE)
    again = case.try_out(arm(adam), adam)
    return (again, True) if case.helps(again) else (first, False)
