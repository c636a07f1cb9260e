"""Find what would make the answer wrong, or raise deep inside autograd, before work starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from diagkit.errors import InputError, NoGradientError, NonFiniteError
from diagkit.objective.batches import Batch, cut, tensors_in
from diagkit.objective.fixed_loss import Findings, FixedLoss
from diagkit.objective.memory import counting_saved_bytes
from diagkit.objective.precision import DtypesOnTheWay
from diagkit.objective.second_derivative import explain_second_derivative

FEW = 64  # examples on which the model is examined


def check_model(model: Any) -> nn.Module:
    """A module with finite parameters; ``torch.compile`` is looked through (it has no double backward)."""
    if not isinstance(model, nn.Module):
        raise InputError(
            f"model of type {type(model).__name__}", allowed="a torch.nn.Module", write="the model itself"
        )
    model = getattr(model, "_orig_mod", model)
    lazy = [n for n, p in model.named_parameters() if isinstance(p, nn.parameter.UninitializedParameter)]
    if lazy:
        raise InputError(
            f"uninitialized parameters {lazy[:3]}",
            allowed="a model that has seen its shapes",
            write="model(x)",
        )
    empty = [n for n, p in model.named_parameters() if p.is_meta]
    if empty:
        raise InputError(
            f"parameters without values, on the meta device: {empty[:3]}",
            allowed="parameters on a device that computes",
            write="model.to_empty(device=...), then load or initialize its weights",
        )
    buffers = dict(model.named_buffers())
    for name, tensor in [*model.named_parameters(), *buffers.items()]:
        # A buffer may hold -inf on purpose (attention masks); NaN is never meant.
        bad_places = tensor.isnan() if name in buffers else ~torch.isfinite(tensor)
        if bool(bad_places.any()):
            bad = int(bad_places.sum())
            raise NonFiniteError(
                f"{name} holds {bad} NaN or Inf of {tensor.numel()} entries: nothing can be measured here; "
                "load the last checkpoint with finite parameters"
            )
    return model


def examine(fixed: FixedLoss, theta: Tensor, batches: Sequence[Batch]) -> None:
    """Fill in ``fixed.found``, raise on what cannot be repaired."""
    found = fixed.found
    _examine_data(batches)
    _note_modules(fixed, found)
    parts = fixed.layout.split(theta)
    leaves = {name: t.clone().requires_grad_() for name, t in parts.items()}
    first, loss = _few(fixed, leaves, batches[0])
    _examine_value(loss)
    with DtypesOnTheWay() as way:
        again = _call(fixed, leaves, first)
    found.dtypes = frozenset(way.dtypes)
    if fixed.precision not in fixed.layout.dtypes:
        found.notes.append(
            f"parts of the loss are computed in {fixed.precision}, coarser than the parameters: "
            "it sets the rounding of what is measured"
        )
    if not torch.allclose(loss, again, rtol=100 * torch.finfo(loss.dtype).eps, atol=0.0):
        found.random = True
        found.notes.append("the loss draws random numbers: the same ones are used for every evaluation")
    if not loss.requires_grad:
        raise NoGradientError(
            "a loss that does not depend on the chosen parameters by any differentiable path",
            allowed="a loss computed with torch operations, without .item(), .detach(), argmax or no_grad",
            write="params=[...] with a block that the loss uses",
        )
    try:
        gradient = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    except (RuntimeError, NotImplementedError) as error:
        raise explain_second_derivative(error, fixed.model) from error
    unused = [name for name, g in zip(leaves, gradient, strict=True) if g is None]
    if unused:
        found.notes.append(f"{len(unused)} parameter tensors are unused (zero derivatives): {unused[:3]}")
    if fixed.norm_stats == "running" and not found.random:
        _examine_reduction(fixed, parts, first)


def _few(fixed: FixedLoss, leaves: dict[str, Tensor], batch: Batch) -> tuple[Batch, Tensor]:
    """The first examples of a batch and their loss, where it can be had of them alone: they cost less."""
    if batch.size > FEW:
        few = Batch(cut(batch.payload, slice(0, FEW), batch.size), FEW)
        try:
            with counting_saved_bytes(leaves.values()) as saved:
                loss = fixed.of_batch(leaves, few, 0)
        except (RuntimeError, TypeError, ValueError, IndexError, KeyError, AttributeError):
            pass  # a fixed batch size, perhaps; what is wrong with the whole is told from the whole
        else:
            if isinstance(loss, Tensor) and bool(torch.isfinite(loss).all()):
                fixed.found.bytes_per_example = saved.total / few.size
                return few, loss
    with counting_saved_bytes(leaves.values()) as saved:
        loss = _call(fixed, leaves, batch)
    fixed.found.bytes_per_example = saved.total / batch.size
    return batch, loss


def _call(fixed: FixedLoss, leaves: dict[str, Tensor], batch: Batch) -> Tensor:
    try:
        loss = fixed.of_batch(leaves, batch, 0)
    except (RuntimeError, TypeError, ValueError, IndexError, KeyError, AttributeError) as error:
        shapes = [f"{tuple(t.shape)} {t.dtype}".replace("torch.", "") for t in tensors_in(batch.payload)]
        raise InputError(
            f"a batch with tensors {', '.join(shapes[:4])} on which the model or the loss raised "
            f"{type(error).__name__}: {error}",
            allowed="data that loss_fn(model(inputs), targets) accepts"
            + (" (batch statistics need two examples or more)" if fixed.norm_stats == "batch" else ""),
        ) from error
    if not isinstance(loss, Tensor):
        raise InputError(
            f"a loss of type {type(loss).__name__}", allowed="a scalar tensor", write="no .item() on the loss"
        )
    return loss


def _examine_value(loss: Tensor) -> None:
    if loss.numel() != 1:
        raise InputError(
            f"a loss of shape {tuple(loss.shape)}",
            allowed="a scalar, the mean over the examples",
            write="reduction='mean', or .mean() at the end of the loss",
        )
    if not loss.is_floating_point():
        raise InputError(f"a loss of dtype {loss.dtype}", allowed="a real floating-point scalar")
    if not bool(torch.isfinite(loss)):
        raise NonFiniteError(
            f"the loss of the first batch is {loss.item()} although data and parameters are finite; "
            "look for log(0), 0/0, sqrt at 0 or an overflow inside the loss"
        )


def _examine_data(batches: Sequence[Batch]) -> None:
    start = 0
    for batch in batches:
        for tensor in tensors_in(batch.payload):
            if tensor.is_floating_point():
                finite = torch.isfinite(tensor)
                if not bool(finite.all()):
                    row = int((~finite).nonzero()[0][0]) if tensor.ndim else 0
                    raise NonFiniteError(
                        f"the data hold NaN or Inf, first in example {start + row}; repair or remove it"
                    )
        start += batch.size


def _note_modules(fixed: FixedLoss, found: Findings) -> None:
    modules = list(fixed.model.modules())
    dropout = [m for m in modules if isinstance(m, nn.modules.dropout._DropoutNd) and m.p > 0]
    if dropout:
        found.notes.append(f"dropout is off ({len(dropout)} layers)")
    norms = [m for m in modules if isinstance(m, nn.modules.batchnorm._NormBase) and m.track_running_stats]
    if norms:
        found.notes.append(
            f"BatchNorm uses {fixed.norm_stats} statistics ({len(norms)} layers): "
            + ("what evaluation sees" if fixed.norm_stats == "running" else "what training sees")
        )
    if any(isinstance(m, nn.MultiheadAttention) for m in modules):
        found.notes.append("attention uses the math kernel: the fused ones cannot be differentiated twice")


def _examine_reduction(fixed: FixedLoss, parts: dict[str, Tensor], batch: Batch) -> None:
    """Split a batch: a mean splits into the mean of its parts, a sum into their sum."""
    if batch.size < 2:
        return
    first = batch.size // 3 or 1
    pieces = [
        (cut(batch.payload, slice(0, first), batch.size), first),
        (cut(batch.payload, slice(first, None), batch.size), batch.size - first),
    ]
    with torch.no_grad():
        whole = float(fixed.of_batch(parts, batch, 0))
        try:
            a, b = (float(fixed.of_batch(parts, Batch(p, n), 0)) for p, n in pieces)
        except (RuntimeError, ValueError, IndexError):  # e.g. a fixed batch size inside the model
            fixed.found.notes.append(
                "the batch could not be split: whether the loss is a mean was not checked"
            )
            return
    mean = (a * first + b * (batch.size - first)) / batch.size
    slack = 1e-3 * max(abs(whole), abs(a), abs(b))
    if abs(whole - mean) <= slack:
        fixed.found.is_mean = True
        return
    if abs(whole - (a + b)) <= slack:
        raise InputError(
            "a loss that is a sum over the examples (the loss of a batch is the sum of its parts' losses)",
            allowed="a mean, so that batches of any size can be averaged",
            write="reduction='mean', or .mean() instead of .sum()",
        )
    fixed.found.notes.append(
        "the loss of a batch is not the mean of its examples' losses: L is the average over the batches "
        "as cut here"
    )
