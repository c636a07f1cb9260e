"""The bench: runs ways to go on from one checkpoint, each once, and no longer than the answer needs."""

from __future__ import annotations

import inspect
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from diagkit.diagnosis.trial import GRID, NUM_SEEDS, Arm, ArmRun, Trial, paired
from diagkit.diagnosis.twin import Twin
from diagkit.objective import Objective, cut, of_model, pooled, same_random_state
from diagkit.work import StoppedError, interrupted, progress, seconds_left

DEAREST_BATCH = 512  # examples in a step of a trial with larger batches, or four times the batch
LENGTHS = (20, 30, 50, 80, 120, 200)  # steps of a run: few choices, so that timing seldom changes them


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
        self._entered: list[Arm] = []  # whose runs were made elsewhere: no seed can be added to them
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
        """All seeds of one arm; remembered.

        Raises
        ------
        StoppedError : the time was up before two of them had ended.
        """
        return _enough(self._up_to(arm, NUM_SEEDS))

    def _up_to(self, arm: Arm, count: int) -> ArmRun:
        """So many seeds of an arm at least; those that have run before are among them."""
        known = self._runs.get(arm.name)
        if known is not None and (len(known.loss) >= count or known.arm in self._entered or interrupted()):
            return known
        steps = np.unique(np.linspace(0, self.num_steps, GRID + 1).astype(int))
        rows = [] if known is None else list(known.loss)
        with progress(f"trial: {arm.name}", count - len(rows)) as advance:
            for index in range(len(rows), count):
                row = self._run_seed(arm, self.seed + index, steps)
                if row is None:
                    break
                rows.append(row)
                advance(1)
        self._runs[arm.name] = ArmRun(arm, steps, np.array(rows).reshape(len(rows), len(steps)))
        return self._runs[arm.name]

    def enter(self, run: ArmRun) -> None:
        """A run that was made elsewhere, over the same steps."""
        self._runs[run.arm.name] = run
        self._entered.append(run.arm)

    def compare(self, remedy: Arm, reference: Arm, ceiling: float | None = None) -> Trial:
        """Does the remedy end lower than the reference? Losses above the ceiling count as the ceiling.

        Two seeds of each, then one more at a time until the answer is settled (see :func:`paired`).

        Raises
        ------
        StoppedError : the time was up before two of each had ended.
        """
        ceiling = self.ceiling if ceiling is None else ceiling
        started = time.perf_counter()
        for count in range(2, NUM_SEEDS + 1):
            runs = (_enough(self._up_to(reference, count)), _enough(self._up_to(remedy, count)))
            trial = paired(*runs, ceiling, self.seed, time.perf_counter() - started)
            if trial.complete or interrupted():
                break
        return trial

    def _run_seed(self, arm: Arm, seed: int, steps: np.ndarray) -> np.ndarray | None:
        """None where the time was up on the way: half a run says nothing of where it ends."""
        losses = np.full(len(steps), np.inf)
        with same_random_state():
            twin = arm.change(self.make_twin(), seed)
            torch.manual_seed(seed)
            losses[0] = self._look(twin)
            for taken in self._steps(twin, seed, int(steps[-1])):
                if interrupted():
                    return None
                place = np.flatnonzero(steps == taken)
                if len(place):
                    losses[place[0]] = self._look(twin)
                    if not np.isfinite(losses[place[0]]):
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


def _enough(run: ArmRun) -> ArmRun:
    """A run of two seeds at least."""
    if len(run.loss) < 2:
        raise StoppedError(run.arm.words)
    return run
