"""Is the network able to fit: a small batch at all, and everything as well as a larger network would?"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from diagkit.diagnosis import arms
from diagkit.diagnosis.bench import Bench
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.layers.larger import larger_twin
from diagkit.diagnosis.trial import Trial, paired
from diagkit.diagnosis.twin import Twin
from diagkit.objective import Objective, call_model, cut, pooled, same_random_state, thinned

RATE = 1e-2  # of Adam, for both
LONGER = 3  # times the steps of an ordinary trial
FEW = 8  # examples that any network should be able to learn by heart
HELD_OUT = 4  # every fourth example


def trained_larger(case: Case) -> Trial | None:
    """Fresh networks, own and larger, trained on three quarters of the examples and looked at on the rest.

    On new examples: a larger network always fits the examples it trains on better, their noise included. None
    where no larger one can be built, or the data cannot be cut.
    """
    pool = pooled(case.everything.batches)
    if pool is None or pool.size < 8 * HELD_OUT or case.everything.norm_stats != "running":
        return None
    with same_random_state(), case.objective.quiet():
        torch.manual_seed(case.seed)
        larger = larger_twin(case.twin().model.eval(), _forward(case))
    if larger is None:
        return None
    order = torch.randperm(pool.size, generator=torch.Generator().manual_seed(case.seed))
    order = order.to(case.objective.layout.device)
    kept = cut(pool.payload, order[pool.size // HELD_OUT :], pool.size)
    held_out = cut(pool.payload, order[: pool.size // HELD_OUT], pool.size)
    started = time.perf_counter()
    arm = arms.fresh_adam(RATE)
    own, more = (_bench(case, model, kept, held_out).run(arm) for model in (case.model, larger))
    trial = paired(own, more, case.bench.ceiling, case.seed, time.perf_counter() - started)
    times = sum(p.numel() for p in larger.parameters()) / case.everything.num_params
    return replace(
        trial, remedy=f"{times:.2g} times the parameters, new examples", reference="this model, new examples"
    )


def _forward(case: Case) -> Callable[[nn.Module], Any]:
    payload, step = case.objective.batches[0].payload, case.step

    def forward(model: nn.Module) -> Any:
        with torch.no_grad():
            return step(model, payload) if step is not None else call_model(model, payload[0])

    return forward


def _bench(case: Case, model: nn.Module, train: Any, look: Any) -> Bench:
    options: dict[str, Any] = {"process_group": False, "seed": case.seed}
    step = case.everything.step
    trained, seen = (Objective.from_step(model, step, [payload], **options) for payload in (train, look))
    return Bench(
        seen,
        lambda: Twin.of(model, None),
        case.batch_size,
        case.seed,
        case.bench.seconds,
        trained,
        num_steps=LONGER * case.bench.num_steps,
    )


def small_batch_loss(case: Case, longer: int = LONGER) -> float:
    """Loss on eight examples after a fresh network was trained on nothing else, over the unit of loss.

    For ``longer`` times the steps of an ordinary trial.
    """
    few = thinned(case.everything, FEW, case.seed)
    bench = Bench(
        few, case.twin, FEW, case.seed, case.bench.seconds, few, num_steps=longer * case.bench.num_steps
    )
    level = np.minimum(bench.run(arms.fresh_adam(RATE)).level, case.bench.ceiling).min()
    return float(level) / case.unit
