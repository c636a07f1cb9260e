"""A run that was resumed without the state of its optimizer, with the loss to show for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from diagkit.diagnosis import scales
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_PROBABLY, UNDECIDED, Check, Evidence, Judgement
from diagkit.diagnosis.own_step.in_use import updates_counted, updates_logged

WINDOW = 50  # logged losses on either side
CLEAR = 4.0  # standard errors
SHORT = 0.9  # of the logged updates; below it the counts disagree


def measure(case: Case) -> Evidence:
    counted, logged = updates_counted(case.optimizer), updates_logged(case.history)
    scheduler = None if case.scheduler is None else int(getattr(case.scheduler, "last_epoch", -1))
    numbers: dict[str, Any] = {
        "counted": counted,
        "logged": logged,
        "schedule": scheduler,
        "jump": None,
        "noise": None,
        "unit": None,
    }
    if counted and logged and counted < SHORT * logged:
        jump = jump_at(case, logged - counted)
        if jump is not None:
            numbers["jump"], numbers["noise"] = jump
            numbers["unit"] = case.unit
    return Evidence(numbers, (case.history,) if case.history is not None else ())


def jump_at(case: Case, at: int) -> tuple[float, float] | None:
    """Rise of the mean logged loss across this step and its standard error."""
    history = case.history
    if history is None or history.loss is None:
        return None
    steps, losses = history.step, history.loss
    keep = np.isfinite(losses)
    before, after = losses[keep & (steps < at)][-WINDOW:], losses[keep & (steps >= at)][:WINDOW]
    if min(len(before), len(after)) < 4:
        return None
    noise = np.hypot(before.std(ddof=1) / len(before) ** 0.5, after.std(ddof=1) / len(after) ** 0.5)
    return float(after.mean() - before.mean()), float(noise)


def judge(evidence: Evidence) -> Judgement:
    counted, logged = evidence["counted"], evidence["logged"]
    if counted is None or logged is None:
        return UNDECIDED
    if counted >= SHORT * logged:
        return REFUTED
    jump = evidence["jump"]
    if (
        jump is not None
        and jump > CLEAR * evidence["noise"]
        and (jump > scales.MATERIAL_UNIT * evidence["unit"])
    ):
        return SUPPORTED_PROBABLY
    return UNDECIDED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    counted, logged = evidence["counted"], evidence["logged"]
    if counted is None or logged is None:
        return "Not seen: the optimizer keeps no count of its updates; a loss of its state would not show."
    facts = f"the optimizer counts {counted} updates, the log {logged}"
    if judgement.verdict == "refuted":
        return f"Yes: {facts}."
    if judgement.verdict == "supported":
        return (
            f"No: {facts}, and where its count begins, at step {logged - counted}, the loss jumps up by "
            f"{evidence['jump']:.3g} (standard error {evidence['noise']:.2g})."
        )
    return f"Unclear: {facts}, but the loss does not jump where its count begins; other things explain that."


CHECK = Check(
    cause="resume-state-lost",
    meaning="optimizer, scheduler or scaler state not restored",
    question="Was the optimizer's state kept when the run was resumed?",
    rung=1.581,
    rank=0.581,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        "Save and restore the states of optimizer, scheduler and scaler with the weights; from here, a short "
        "warm-up lets the optimizer's averages form again."
    ),
    code="torch.save({'model': model.state_dict(), 'optimizer': optimizer.state_dict(),\n"
    "            'scheduler': scheduler.state_dict()}, path)\n"
    "optimizer.load_state_dict(torch.load(path)['optimizer'])",
    source="updates counted by the optimizer against the log",
    needs=("optimizer", "history"),
)
