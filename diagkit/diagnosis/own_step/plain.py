"""A few plain steps on a copy, observed in the same way: what no loop can be blamed for."""

from __future__ import annotations

from itertools import cycle, islice
from typing import Any

from diagkit.diagnosis.case import Case
from diagkit.diagnosis.own_step.books import OwnStep
from diagkit.diagnosis.own_step.observe import ENOUGH_UPDATES, observe
from diagkit.errors import InputError
from diagkit.objective import recut


def plain_steps(case: Case) -> OwnStep:
    """Zero the gradients, loss, backward, step on a copy of model and optimizer; kept."""
    return case.once("plain steps", lambda: _observe(case))


def _observe(case: Case) -> OwnStep:
    twin, step = case.twin(), case.objective.step
    try:
        cuts = recut(case.objective, case.batch_size).batches
    except InputError:  # batches of different shapes stay as they were cut
        cuts = case.objective.batches

    def train_step(payload: Any) -> None:
        twin.optimizer.zero_grad()
        step(twin.model, payload).backward()
        twin.optimizer.step()

    twin.model.train()
    payloads = (batch.payload for batch in islice(cycle(cuts), ENOUGH_UPDATES))
    return observe(twin.model, twin.optimizer, train_step, payloads, seed=case.seed)
