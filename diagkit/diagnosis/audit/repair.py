"""Trials in which another loss is trained, or other batches are: both arms looked at by one measure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from diagkit.diagnosis import scales
from diagkit.diagnosis.bench import Bench
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.trial import Arm, Trial
from diagkit.diagnosis.twin import Twin
from diagkit.objective import Objective, Step


def with_output(step: Step, change: Callable[[Tensor], Tensor]) -> Step:
    """The same step, but of ``change(model(...))``."""

    def changed(model: nn.Module, payload: Any) -> Tensor:
        handle = model.register_forward_hook(
            lambda _module, _args, output: change(output) if isinstance(output, Tensor) else None
        )
        try:
            return step(model, payload)
        finally:
            handle.remove()

    return changed


def trained_on(step: Step | None, words: str, start: Callable[[Twin, int], Twin] = lambda t, s: t) -> Arm:
    """Trained on this loss, None for the one that is looked at; from ``start``."""
    return Arm(words, words, lambda twin, seed: replace(start(twin, seed), step=step))


def shown(payloads: Sequence[Any], words: str, start: Callable[[Twin, int], Twin] = lambda t, s: t) -> Arm:
    """Trained on these batches in this order, again and again; from ``start``."""
    return Arm(words, words, lambda twin, seed: replace(start(twin, seed), payloads=payloads))


def bench_of(
    case: Case,
    step: Step,
    payloads: Sequence[Any] | None = None,
    *,
    trained: Sequence[Any] | None = None,
    num_steps: int = 0,
) -> Bench:
    """A bench whose losses are those of ``step`` on ``payloads`` (those of the case).

    Losses count up to that of the present parameters and half as much again, as in the other trials.
    ``trained`` : the batches that arms are trained on, if not those. num_steps : 0 for what time allows.
    """
    frozen = not any(p.requires_grad for p in case.model.parameters())

    def objective_on(batches: Sequence[Any]) -> Objective:
        options: dict[str, Any] = {"params": "*"} if frozen else {}
        return Objective.from_step(
            case.model, step, iter(batches), process_group=False, seed=case.seed, **options
        )

    objective = objective_on(case.read if payloads is None else payloads)
    examples = None if trained is None else objective_on(trained)
    seconds = scales.TRIAL_SHARE * case.budget
    bench = Bench(objective, case.twin, case.batch_size, case.seed, seconds, examples, num_steps)
    bench.ceiling = scales.CEILING * max(abs(objective.loss()), 1e-12)
    return bench


def apart(payloads: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """(two thirds to train on, a third to look at), in whole batches; all of them twice if too few."""
    if len(payloads) < 3:
        return list(payloads), list(payloads)
    return [p for i, p in enumerate(payloads) if i % 3], list(payloads[::3])


def lowers(trial: Trial, share: float = scales.MATERIAL_LOSS) -> bool:
    """Does the remedy end below the reference, beyond the interval and by this share of its level?"""
    reference = float(trial.without[:, -3:].clip(max=trial.ceiling).mean())
    return trial.interval[0] > 0 and trial.effect > share * abs(reference)
