"""The learning rate decayed to nothing while the loss could still fall."""

from __future__ import annotations

from typing import Any

from diagkit.diagnosis.check import REFUTED, SUPPORTED_PROBABLY, Check, Evidence, Judgement


def measure(case: Any) -> Evidence:
    return Evidence({"found": case.curve.spent, "logged": case.history.lr is not None}, (case.curve,))


def judge(evidence: Evidence) -> Judgement:
    found = evidence["found"]
    return SUPPORTED_PROBABLY if found is not None and found.early else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    found = evidence["found"]
    if not evidence["logged"]:
        return "Cannot be seen: no learning rate in the log."
    if found is None:
        return "No: the rate was not next to zero for long."
    spent = (
        f"the rate is below 1 % of its peak from step {found.step} on ({100 * found.share:.2g} % of the run)"
    )
    if judgement.verdict == "supported":
        return (
            f"Yes: {spent}; before, the last third of the way lowered the loss by {found.before:.3g} ± "
            f"{found.sem:.2g} beside what a lower rate does by itself, and since then it fell by "
            f"{found.after:.3g}."
        )
    return f"Not shown: {spent}, but before it did not lower the loss beyond its noise."


CHECK = Check(
    cause="schedule-ended-early",
    meaning="the learning rate decayed to nothing while the loss could still fall",
    question="Did the learning rate run out too early?",
    group="sizeable",
    rung=8.6,
    rank=10,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        "Train on with a rate like that before the decay, and let the schedule end where the training ends."
    ),
    code="scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=num_steps)  # all steps",
    source="least squares of the loss on the sum of rates and on the rate",
    needs=("history",),
)
