"""Evidence by intervention: the same short run from the same checkpoint, with and without a change."""

from __future__ import annotations

import inspect
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import stats

from diagkit.diagnosis.twin import Twin
from diagkit.objective import Objective, cut, of_model, pooled, same_random_state
from diagkit.result import Result
from diagkit.work import interrupted, progress, seconds_left

if TYPE_CHECKING:
    import pandas as pd

DEAREST_BATCH = 512  # examples in a step of a trial with larger batches, or four times the batch
NUM_SEEDS = 4
LENGTHS = (20, 30, 50, 80, 120, 200)  # steps of a run: few choices, so that timing seldom changes them
GRID = 8  # points at which the loss over all data is looked at
LAST = 3  # of which so many make up the level that an arm reaches


@dataclass(frozen=True)
class Arm:
    """One way to go on: a name, what it changes on the copy, in words."""

    name: str
    words: str
    change: Callable[[Twin, int], Twin]  # (copy, seed) -> the changed copy


@dataclass(frozen=True)
class ArmRun:
    """loss [seeds, GRID + 1] over all data, at ``steps``; inf once a run is not finite."""

    arm: Arm
    steps: np.ndarray
    loss: np.ndarray

    @property
    def level(self) -> np.ndarray:
        """Where each seed ends up: the mean of the last points, [seeds]."""
        return self.loss[:, -LAST:].mean(axis=1)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Trial(Result):
    """Paired comparison of two arms over the same seeds and data orders.

    Attributes
    ----------
    steps [g] : at which the losses were taken. without, with_remedy [seeds, g] : loss over all the data.
    effect : mean drop of the level reached (mean of the last points), positive where the remedy helps.
    interval : its 95 % t-interval over seeds. ceiling : beyond it all losses counted as equally bad.
    """

    remedy: str
    reference: str
    steps: np.ndarray
    without: np.ndarray
    with_remedy: np.ndarray
    effect: float
    interval: tuple[float, float]
    ceiling: float = float("inf")

    @property
    def level(self) -> float:
        """Loss that the remedy reaches: the mean over seeds of the last points, up to the ceiling."""
        return float(np.minimum(self.with_remedy[:, -LAST:].mean(axis=1), self.ceiling).mean())

    def summary(self) -> dict[str, Any]:
        return {
            "remedy": self.remedy,
            "against": self.reference,
            "effect": self.effect,
            "interval": list(self.interval),
            "seeds": len(self.without),
            "steps": int(self.steps[-1]),
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per arm, seed and step."""
        import pandas as pd

        rows = [
            {"arm": name, "seed": seed, "step": int(step), "loss": value}
            for name, losses in ((self.reference, self.without), (self.remedy, self.with_remedy))
            for seed, row in enumerate(losses)
            for step, value in zip(self.steps, row, strict=True)
        ]
        return pd.DataFrame(rows)


def paired(reference: ArmRun, remedy: ArmRun, ceiling: float, seed: int, seconds: float) -> Trial:
    """Two runs over the same seeds, compared."""
    n = min(len(reference.loss), len(remedy.loss))
    difference = np.subtract(*(np.minimum(run.level[:n], ceiling) for run in (reference, remedy)))
    effect, half = float(difference.mean()), float("inf")
    if n > 1:
        half = float(stats.t.ppf(0.975, n - 1) * difference.std(ddof=1) / np.sqrt(n))
    return Trial(
        remedy=remedy.arm.words,
        reference=reference.arm.words,
        steps=reference.steps,
        without=reference.loss[:n],
        with_remedy=remedy.loss[:n],
        effect=effect,
        interval=(effect - half, effect + half),
        ceiling=ceiling,
        seed=seed,
        seconds=seconds,
        complete=n == NUM_SEEDS,
    )


class Bench:
    """Runs arms from one checkpoint, each once; ``compare`` pairs two of them.

    Arms train on ``examples`` and are looked at on those of ``objective``, which may be fewer.
    """

    def __init__(
        self,
        objective: Objective,
        make_twin: Callable[[], Twin],
        batch_size: int,
        seed: int,
        seconds: float,
        examples: Objective | None = None,
        num_steps: int = 0,
    ) -> None:
        self.objective, self.make_twin, self.batch_size, self.seed = objective, make_twin, batch_size, seed
        self.cuts = (examples or objective).batches
        self.pool = pooled(self.cuts)
        self.seconds = seconds
        self.ceiling = float("inf")
        self._runs: dict[str, ArmRun] = {}
        self._num_steps = num_steps  # 0: settled by timing

    @property
    def num_steps(self) -> int:
        """Steps of a run: a few hundred, fewer where the model is slow; settled by timing a short one."""
        if not self._num_steps:
            steps = self._steps(self.make_twin(), seed=0, count=6)
            next(steps)  # the first one allocates
            started = time.perf_counter()
            for _ in steps:
                pass
            each = (time.perf_counter() - started) / 5
            started = time.perf_counter()
            self.objective.loss()
            look = time.perf_counter() - started
            runs = 10 * NUM_SEEDS  # about ten arms
            room = min(self.seconds, seconds_left()) / runs - GRID * look
            possible = room / max(each, 1e-9)
            self._num_steps = max((n for n in LENGTHS if n <= possible), default=LENGTHS[0])
        return self._num_steps

    def run(self, arm: Arm) -> ArmRun:
        """All seeds of one arm; remembered."""
        if arm.name not in self._runs:
            steps = np.unique(np.linspace(0, self.num_steps, GRID + 1).astype(int))
            losses = np.full((NUM_SEEDS, len(steps)), np.inf)
            with progress(f"trial: {arm.name}", NUM_SEEDS) as advance:
                for index in range(NUM_SEEDS):
                    losses[index] = self._run_seed(arm, self.seed + index, steps)
                    advance(1)
                    if interrupted():
                        losses = losses[: index + 1]
                        break
            self._runs[arm.name] = ArmRun(arm, steps, losses)
        return self._runs[arm.name]

    def enter(self, run: ArmRun) -> None:
        """A run that was made elsewhere, over the same steps."""
        self._runs[run.arm.name] = run

    def compare(self, remedy: Arm, reference: Arm, ceiling: float | None = None) -> Trial:
        """Does the remedy end lower than the reference? Losses above the ceiling count as the ceiling."""
        ceiling = self.ceiling if ceiling is None else ceiling
        started, runs = time.perf_counter(), (self.run(reference), self.run(remedy))
        return paired(*runs, ceiling, self.seed, time.perf_counter() - started)

    def _run_seed(self, arm: Arm, seed: int, steps: np.ndarray) -> np.ndarray:
        losses = np.full(len(steps), np.inf)
        with same_random_state():
            twin = arm.change(self.make_twin(), seed)
            torch.manual_seed(seed)
            losses[0] = self._look(twin)
            for taken in self._steps(twin, seed, int(steps[-1])):
                place = np.flatnonzero(steps == taken)
                if len(place):
                    losses[place[0]] = self._look(twin)
                    if not np.isfinite(losses[place[0]]) or interrupted():
                        break
        return losses

    def _look(self, twin: Twin) -> float:
        """Loss of the copy over all the data, in evaluation mode, with its own buffers."""
        value = of_model(self.objective, twin.model).loss()
        return value if np.isfinite(value) else float("inf")

    def _steps(self, twin: Twin, seed: int, count: int) -> Iterator[int]:
        """Plain training steps on the copy: loss, backward, step."""
        closure = inspect.signature(twin.optimizer.step).parameters.get("closure")
        needs_closure = closure is not None and closure.default is inspect.Parameter.empty
        step = twin.step or self.objective.step
        twin.model.train()
        given = twin.payloads
        batches = self._batches(twin.larger_batch, seed) if given is None else itertools.cycle(given)
        with torch.enable_grad():
            for taken in range(1, count + 1):
                payload = next(batches)

                def evaluate(payload: Any = payload) -> torch.Tensor:
                    twin.optimizer.zero_grad()
                    loss = step(twin.model, payload)
                    if loss.requires_grad:  # not where everything is frozen
                        loss.backward()
                    return loss

                if needs_closure:
                    twin.optimizer.step(evaluate)  # type: ignore[arg-type]
                else:
                    evaluate()
                    twin.optimizer.step()
                yield taken

    def _batches(self, times: int, seed: int) -> Iterator[Any]:
        generator = torch.Generator().manual_seed(seed)
        batch_size = self.batch_size * min(times, max(4, DEAREST_BATCH // self.batch_size))
        while True:
            if self.pool is None:  # batches that do not fit together are used as they were cut
                for index in torch.randperm(len(self.cuts), generator=generator).tolist():
                    yield self.cuts[index].payload
            else:
                size = self.pool.size
                order = torch.randperm(size, generator=generator).to(self.objective.layout.device)
                for chosen in order.split(batch_size):
                    # A single left-over example is skipped: BatchNorm cannot train on it.
                    if len(chosen) > 1 or min(size, batch_size) == 1:
                        yield cut(self.pool.payload, chosen, size)
