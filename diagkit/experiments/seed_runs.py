"""Several seeds of one model: their parameters and losses, however they were trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from diagkit.errors import InputError
from diagkit.objective import check_seed
from diagkit.objective.trace import same_random_state, seed_everything
from diagkit.result import Result


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class SeedRuns(Result):
    """Runs of one model under several seeds.

    Attributes
    ----------
    seeds : [K]. theta : trainable parameters at the end [K, P], on the CPU, in the order of
        ``model.parameters()``; of a run whose loss was no longer finite, those that gave this loss.
    loss : of each minibatch before its step [K, steps]; NaN after the end of a run that ended earlier.
    steps : losses per run [K]. diverged : whose last loss is not finite [K].
    together : trained as one stack.
    kept_at : numbers of steps, in order [C]. kept : the parameters after so many steps [K, C, P], NaN after
        the end of a run that ended earlier. kept_buffers : the model's real buffers then [K, C, Q], one after
        the other; empty where they do not change.
    """

    seeds: tuple[int, ...]
    theta: Tensor
    loss: np.ndarray
    steps: np.ndarray
    diverged: np.ndarray
    together: bool
    kept_at: tuple[int, ...] = ()
    kept: Tensor = field(default_factory=lambda: torch.empty(0, 0, 0))
    kept_buffers: Tensor = field(default_factory=lambda: torch.empty(0, 0, 0))

    @classmethod
    def of(cls, seeds: tuple[int, ...], *, theta: Tensor, loss: np.ndarray, **rest: Any) -> SeedRuns:
        """With steps and divergence read off the losses."""
        bad = ~np.isfinite(loss)
        diverged = bad.any(axis=1)
        ends = (
            bad.argmax(axis=1) + 1 if bad.size else 0
        )  # no seed, or no step, where a run was stopped at once
        steps = np.where(diverged, ends, loss.shape[1])
        return cls(seeds=seeds, theta=theta, loss=loss, steps=steps, diverged=diverged, **rest)

    def to_frame(self) -> pd.DataFrame:
        """One row per seed and step: seed, step (from 0), loss."""
        tables = [
            pd.DataFrame({"seed": seed, "step": np.arange(n), "loss": losses[:n]})
            for seed, n, losses in zip(self.seeds, self.steps, self.loss, strict=True)
        ]
        return pd.concat(tables, ignore_index=True)

    def summary(self) -> dict[str, Any]:
        last = [losses[n - 1] for n, losses in zip(self.steps, self.loss, strict=True) if n]
        return {
            "seeds": len(self.seeds),
            "steps": int(self.steps.max(initial=0)),
            "last_loss": last,
            "diverged": int(self.diverged.sum()),
            "together": self.together,
        }


def made(make_model: Callable[[], nn.Module], seed: int) -> nn.Module:
    """A model with the weights of this seed; the caller's random state stays."""
    with same_random_state():
        seed_everything(seed)
        model = make_model()
    if not isinstance(model, nn.Module):
        raise InputError(
            f"make_model() that returns a {type(model).__name__}",
            allowed="a function without arguments that returns a new torch.nn.Module",
            write="make_model=lambda: torch.nn.Linear(64, 10)",
        )
    return model


def check_seeds(seeds: Iterable[int]) -> tuple[int, ...]:
    """Each once, at least one."""
    chosen = tuple(seeds)
    for seed in chosen:
        check_seed(seed)
    if not chosen or len(set(chosen)) < len(chosen):
        raise InputError(
            f"seeds = {list(chosen)}", allowed="different integers, at least one", write="seeds=range(8)"
        )
    return tuple(int(seed) for seed in chosen)
