"""How the loss answers to other outputs than the model's: what it sees, and what it takes them for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from diagkit.diagnosis.audit.probe import COMPLAINTS, Probe, Seen
from diagkit.objective import Batch

EXACT = 64  # roundings within which two losses are the same


@dataclass(frozen=True)
class Answer:
    """Loss at some output, and its derivative there; None where the loss refuses such an output."""

    loss: float
    gradient: Tensor


def answer_to(probe: Probe, batch: Batch, output: Tensor | None) -> Answer | None:
    """L and dL/d output with ``output`` in the place of the model's own (None: its own)."""
    held: list[Tensor] = []

    def change(own: Tensor) -> Tensor:
        held.append((own if output is None else output.to(own)).detach().requires_grad_())
        return held[0]

    def differentiate(seen: Seen) -> Answer | None:
        loss = seen.loss
        if not held or not isinstance(loss, Tensor) or loss.numel() != 1:
            return None
        (gradient,) = torch.autograd.grad(loss, held, allow_unused=True) if loss.requires_grad else (None,)
        return Answer(float(loss.detach()), torch.zeros_like(held[0]) if gradient is None else gradient)

    try:
        return probe.run(batch, differentiate, change)
    except COMPLAINTS:
        return None


def substitutes(output: Tensor, seed: int) -> Iterator[Tensor]:
    """Other outputs of the same shape: noise about as large, wide noise, and probabilities."""
    draw = torch.Generator().manual_seed(seed)
    noise = torch.randn(output.shape, generator=draw).to(output)
    scale = float(output.detach().double().std(correction=0)) if bool(output.isfinite().all()) else 1.0
    yield max(scale, 1.0) * noise
    yield 10 * max(scale, 1.0) * noise.flip(0)
    chances = torch.rand(output.shape, generator=draw).to(output) * 0.8 + 0.1
    yield chances / chances.sum(-1, keepdim=True) if output.shape[-1] > 1 else chances


@dataclass(frozen=True)
class Sight:
    """What the loss of a batch sees of its outputs.

    blind : no output changes it. void : it is not finite whatever the output. unseen : share of the scored
    positions (rows of the output) that never receive a gradient; None where the output has no rows.
    """

    blind: bool
    void: bool
    unseen: float | None


def sight(probe: Probe, batch: Batch, seen: Seen) -> Sight | None:
    """Ask the loss of one batch at its own output and at others; None where nothing can be replaced."""
    assert seen.output is not None
    outputs = [None, *substitutes(seen.output, probe.seed)]
    answers = [a for a in (answer_to(probe, batch, output) for output in outputs) if a is not None]
    if len(answers) < 2:
        return None
    finite = [a for a in answers if torch.isfinite(torch.tensor(a.loss))]
    void = not finite
    blind = len(finite) > 1 and all(bool((a.gradient == 0).all()) for a in finite)
    blind = blind and same_losses([a.loss for a in finite])
    unseen = None
    if any(bool(a.gradient.any()) for a in finite) and finite[0].gradient.ndim > 1:
        rows = torch.stack([(a.gradient.flatten(0, -2) == 0).all(-1) for a in finite])
        unseen = float(rows.all(0).double().mean())
    return Sight(blind, void, unseen)


def same_losses(losses: list[float], dtype: torch.dtype = torch.float32) -> bool:
    """Equal to rounding of a sum."""
    return max(losses) - min(losses) <= EXACT * torch.finfo(dtype).eps * max(map(abs, losses))


def takes_a_softmax(probe: Probe, batch: Batch, seen: Seen) -> bool:
    """Adding the same number to all outputs of an example changes nothing, and the loss is curved.

    Margin losses, too, see differences only, but are made of planes: their slope stays from point to point.
    """
    return _ignores_a_shift(probe, batch, seen) and _is_curved(probe, batch, seen)


def _is_curved(probe: Probe, batch: Batch, seen: Seen) -> bool:
    assert seen.output is not None
    noise = next(substitutes(seen.output, probe.seed))
    here, there = (answer_to(probe, batch, scale * noise) for scale in (1.0, 1.01))
    if here is None or there is None:
        return False
    scored = (here.gradient != 0) | (there.gradient != 0)
    return bool((here.gradient != there.gradient)[scored].double().mean() > 0.5)


def _ignores_a_shift(probe: Probe, batch: Batch, seen: Seen) -> bool:
    own = seen.output
    if own is None or own.ndim < 2:
        return False
    axis = 1  # of the classes, as in torch's losses; the last one where positions were flattened is the same
    for dim in {axis, own.ndim - 1}:
        if own.shape[dim] < 2:
            continue
        shape = [n if i != dim else 1 for i, n in enumerate(own.shape)]
        draw = torch.Generator().manual_seed(probe.seed)
        shift = 3 * torch.randn(shape, generator=draw).to(own)
        losses = [answer_to(probe, batch, own.detach() + k * shift) for k in (0.0, 1.0, -1.0)]
        known = [a.loss for a in losses if a is not None]
        spread = answer_to(
            probe, batch, own.detach() * -2.0 + torch.linspace(0, 1, own.numel()).to(own).view_as(own)
        )
        moves = spread is not None and known and not same_losses([known[0], spread.loss])
        if len(known) == 3 and moves and same_losses(known, own.dtype):
            return True
    return False


def takes_a_sigmoid(probe: Probe, batch: Batch, seen: Seen) -> bool:
    """Far out the slope is constant on one side and gone on the other: a logistic loss of the output."""
    own, target = seen.output, seen.target
    if own is None or target is None or target.numel() != own.numel():
        return False
    truth = target.reshape(own.shape).to(own)
    if not bool(((truth == 0) | (truth == 1)).all()):
        return False
    wrong, right = (1 - 2 * truth), (2 * truth - 1)
    far = [answer_to(probe, batch, size * wrong) for size in (30.0, 60.0)]
    good = answer_to(probe, batch, 60.0 * right)
    if any(a is None or not torch.isfinite(a.gradient).all() for a in (*far, good)):
        return False
    near_slope, far_slope, good_slope = (a.gradient.abs() for a in (*far, good))  # type: ignore[union-attr]
    constant = torch.allclose(near_slope, far_slope, rtol=1e-3, atol=0.0) and bool((far_slope > 0).all())
    return constant and bool((good_slope <= 1e-6 * far_slope).all())
