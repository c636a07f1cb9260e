"""From what the user has to a function of the parameters: read, copied, examined."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from diagkit.errors import InputError
from diagkit.objective.arguments import check_seed
from diagkit.objective.batches import Batch, read_batches
from diagkit.objective.fixed_loss import FixedLoss, Stepwise
from diagkit.objective.parameters import ParameterLayout
from diagkit.objective.preflight import check_model, examine
from diagkit.objective.replicas import whole
from diagkit.objective.trace import same_random_state


@dataclass(frozen=True)
class Prepared:
    """The loss of a batch, the batches, and the point theta [P] where the model stands."""

    layout: ParameterLayout
    fixed: FixedLoss
    theta: Tensor
    batches: tuple[Batch, ...]


def prepare(
    model: nn.Module,
    loss_fn: Callable[..., Tensor] | Stepwise,
    data: Any,
    *,
    params: Sequence[str] | str | None,
    norm_stats: str,
    max_examples: int | None,
    batch_size: int | None,
    seed: int,
) -> Prepared:
    """Everything that can be wrong with the arguments is said here; see :class:`Objective` for them."""
    step = loss_fn if isinstance(loss_fn, Stepwise) else Stepwise.of_pairs(loss_fn)
    if norm_stats not in ("running", "batch"):
        raise InputError(f"norm_stats={norm_stats!r}", allowed="'running' or 'batch'")
    check_seed(seed)
    model = check_model(whole(model))
    layout = ParameterLayout.of(model, params)
    named = dict(model.named_parameters())
    with torch.inference_mode(False):  # what is copied there could not be differentiated later
        fixed = FixedLoss(model, step.step, layout, norm_stats, seed)
        theta = layout.join([named[name] for name in layout.names]).clone()
        with same_random_state():
            batches = read_batches(
                data,
                convert=fixed.to_model,
                max_examples=max_examples,
                batch_size=batch_size,
                seed=seed,
                pairs=step.pairs,
            )
    with fixed.quiet():
        examine(fixed, theta, batches)
    return Prepared(layout, fixed, theta, batches)
