"""Ways to go on that change layers or how they are regularized: what the checks of the model try."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from diagkit.diagnosis.layers.modes import DROPOUTS, NORMS
from diagkit.diagnosis.layers.unit_variance import tanh_for_sigmoid, to_unit_variance
from diagkit.diagnosis.trial import Arm
from diagkit.diagnosis.twin import Twin, start_afresh

WARMUP = 1 / 3  # of the steps of a trial; the level that an arm reaches is taken in the last third


def reset_layers(names: Collection[str]) -> Arm:
    """New weights for these layers, everything else as it is."""

    def change(twin: Twin, seed: int) -> Twin:
        torch.manual_seed(seed)
        for name in sorted(names):
            module = twin.model.get_submodule(name)
            module.reset_parameters()  # type: ignore[operator]
            for p in module.parameters():
                twin.optimizer.state.pop(p, None)
        return twin

    shown = ", ".join(sorted(names)[:3]) + (", ..." if len(names) > 3 else "")
    return Arm(f"reset {sorted(names)}", f"layer {shown} initialized again", change)


def unit_variance(batch: Any, step: Callable[[nn.Module, Any], Tensor]) -> Arm:
    """A fresh start, tanh for hidden sigmoids, orthogonal weights scaled to mean 0 and variance 1."""

    def change(twin: Twin, seed: int) -> Twin:
        twin = start_afresh(twin, seed)
        for prepare in (tanh_for_sigmoid, to_unit_variance):
            prepare(twin.model, lambda: step(twin.model, batch))
        return twin

    return Arm(
        "unit variance", "freshly initialized, each layer scaled to unit variance, no sigmoids", change
    )


def _without_dropout(twin: Twin, seed: int) -> Twin:
    for module in twin.model.modules():
        if isinstance(module, DROPOUTS):
            module.p = 0.0
        elif isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0  # type: ignore[assignment]
    return twin


NO_DROPOUT = Arm("no dropout", "no dropout", _without_dropout)


def _batch_statistics(twin: Twin, seed: int) -> Twin:
    for module in twin.model.modules():
        if isinstance(module, NORMS):
            module.track_running_stats = False
            module.running_mean = module.running_var = None
    return twin


BATCH_STATISTICS = Arm("batch statistics", "statistics of the batch in evaluation, too", _batch_statistics)


def decay_times(factor: float) -> Arm:
    """Another weight decay in every group of the optimizer."""
    words = "no weight decay" if factor == 0 else f"weight decay x {factor:g}"

    def change(twin: Twin, seed: int) -> Twin:
        for group in twin.optimizer.param_groups:
            group["weight_decay"] = factor * group.get("weight_decay", 0.0)
        return twin

    return Arm(words, words, change)


def afresh_with(arm: Arm) -> Arm:
    """The change of another arm, from a fresh start."""
    return Arm(
        f"fresh, {arm.name}",
        f"freshly initialized, {arm.words}",
        lambda twin, seed: arm.change(start_afresh(twin, seed), seed),
    )


def clipped(norm: float) -> Arm:
    """The norm of the gradient clipped before each step, which trials do not do by themselves."""

    def change(twin: Twin, seed: int) -> Twin:
        def clip(optimizer: torch.optim.Optimizer, _args: Any, _kwargs: Any) -> None:
            held = [p for group in optimizer.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(held, norm)

        twin.optimizer.register_step_pre_hook(clip)
        return twin

    words = f"gradient clipped to {norm:.3g}"
    return Arm(words, words, change)


def afresh_at(rates: Sequence[float], *, warmup_steps: int = 0) -> Arm:
    """A fresh start at these rates of the groups, reached along a line over the first steps."""

    def change(twin: Twin, seed: int) -> Twin:
        twin, taken = start_afresh(twin, seed), 0

        def set_rates(optimizer: torch.optim.Optimizer, _args: Any, _kwargs: Any) -> None:
            nonlocal taken
            taken += 1
            share = min(1.0, taken / (warmup_steps + 1))
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = (
                    torch.full_like(group["lr"], rate * share)
                    if isinstance(group["lr"], Tensor)
                    else rate * share
                )

        twin.optimizer.register_step_pre_hook(set_rates)
        return twin

    how = f"warmed up over {warmup_steps} steps" if warmup_steps else "from the first step on"
    words = f"freshly initialized, rate {rates[0]:.3g} {how}"
    return Arm(words, words, change)
