"""The validation data: read once, scored by the same loss, never trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from diagkit.diagnosis.audit.labels import Table, table_of
from diagkit.diagnosis.audit.probe import COMPLAINTS
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.examples import examples_to_read, read_payloads
from diagkit.errors import DiagkitError
from diagkit.objective import Batch, Objective, batch_size_of

GROUPS = 16  # of examples, over which the error of a mean loss is taken


def validation_payloads(case: Case) -> list[object]:
    """Batches of the validation data; empty where there are none."""

    def make() -> list[object]:
        if case.val_data is None:
            return []
        return read_payloads(case.val_data, case.seed, pairs=case.step is None)

    return case.once("validation batches", make)


def validation_table(case: Case) -> Table | None:
    """Validation data as one table; None where there are none, or they are something else."""

    def make() -> Table | None:
        payloads = validation_payloads(case)
        if not payloads:
            return None
        read = sum(batch_size_of(payload) for payload in payloads)
        return table_of(payloads, read < examples_to_read(case.val_data))

    return case.once("validation table", make)


def validation_objective(case: Case) -> Objective | None:
    """The loss on the validation data, at the same point."""

    def make() -> Objective | None:
        payloads = validation_payloads(case)
        if not payloads:
            return None
        frozen = not any(p.requires_grad for p in case.model.parameters())
        try:
            return Objective.from_step(
                case.model,
                case.everything.step,
                iter(payloads),
                process_group=False,
                seed=case.seed,
                **({"params": "*"} if frozen else {}),
            )
        except (*COMPLAINTS, DiagkitError):
            return None

    return case.once("validation objective", make)


def group_losses(case: Case, inputs: Tensor, targets: Tensor) -> np.ndarray:
    """Mean loss of each of a few groups of examples, in evaluation mode; call inside ``quiet``."""
    fixed = case.everything.fixed
    parts = np.array_split(np.arange(len(targets)), min(GROUPS, len(targets) // 2 or 1))
    params = fixed.layout.split(case.everything.theta)
    losses = []
    with torch.no_grad():
        for part in parts:
            payload = fixed.to_model((inputs[part], targets[part]))
            losses.append(float(fixed.of_batch(params, Batch(payload, len(part)), 0)))
    return np.array(losses)


@dataclass(frozen=True)
class Mean:
    """A mean with half its 95 % t-interval."""

    value: float
    half: float

    @classmethod
    def of(cls, values: np.ndarray) -> Mean:
        n = len(values)
        half = stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n) if n > 1 else np.inf
        return cls(float(values.mean()), float(half))
