"""Annealed gradient noise for seeds that are trained as one stack: to each of them its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from diagkit.training.annealing import check_level, noise_level

MakeOptimizer = Callable[[list[Tensor]], torch.optim.Optimizer]


def with_stacked_noise(make: MakeOptimizer, *, c: float, r: float, seeds: Sequence[int]) -> MakeOptimizer:
    r"""An optimizer of parameters [K, ...] that adds :math:`c / (1 + t)^r \, \xi` to every gradient entry.

    Row k draws its normal numbers :math:`\xi` from a generator of its own, started at ``seeds[k]``, in the
    order and the shapes of :func:`diagkit.add_gradient_noise`: a model trained in the stack sees the noise
    that it would see alone. For :func:`train_together`.

    Raises
    ------
    InputError : c or r below 0.

    Example
    -------
    >>> w = torch.nn.Parameter(torch.zeros(2, 3))
    >>> sgd = with_stacked_noise(lambda p: torch.optim.SGD(p, lr=1.0), c=1.0, r=0.5, seeds=[5, 6])([w])
    >>> w.grad = torch.zeros(2, 3)
    >>> sgd.step()
    >>> bool(torch.equal(-w[1].detach(), torch.randn(3, generator=torch.Generator().manual_seed(6))))
    True
    """
    check_level(c, r)

    def noisy(parameters: list[Tensor]) -> torch.optim.Optimizer:
        optimizer = make(parameters)
        generators = [torch.Generator(parameters[0].device).manual_seed(seed) for seed in seeds]
        steps = 0

        @torch.no_grad()
        def add(optimizer: Any, args: Any, kwargs: Any) -> None:
            nonlocal steps
            sigma = noise_level(c, r, steps)
            for group in optimizer.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p.grad.add_(_normal(p, generators), alpha=sigma)
            steps += 1

        if c > 0:
            optimizer.register_step_pre_hook(add)
        return optimizer

    return noisy


def _normal(like: Tensor, generators: list[torch.Generator]) -> Tensor:
    """Standard normal numbers [K, ...], row k from generator k."""
    rows = [
        torch.randn(like.shape[1:], generator=g, device=like.device, dtype=like.dtype) for g in generators
    ]
    return torch.stack(rows)
