"""NaN or Inf was logged, and the log ends with it."""

from __future__ import annotations

from typing import Any

import numpy as np

from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_PROOF, Check, Evidence, Judgement


def measure(case: Any) -> Evidence:
    history = case.history
    logged = history.loss
    first = history.first_non_finite
    lasting = first is not None and (logged is None or not np.isfinite(logged[-1]))
    infinite = [
        (name, int(history.step[np.flatnonzero(np.isinf(values))[0]]))
        for name, values in history.series.items()
        if len(values) == history.num_steps and np.isinf(values).any()
    ]
    before = None
    if first is not None and logged is not None and case.curve.levels is not None:
        until = logged[(history.step < first) & np.isfinite(logged)]
        before = float(np.median(until[-3:])) if len(until) else None
    numbers = {"step": first, "lasting": lasting, "before": before, "others": infinite}
    return Evidence(numbers | {"lowest": case.curve.levels and case.curve.levels.lowest}, (case.curve,))


def judge(evidence: Evidence) -> Judgement:
    return SUPPORTED_BY_PROOF if evidence["lasting"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    others = "".join(
        f" {name} is infinite at step {step}." for name, step in evidence["others"] if name != "loss"
    )
    step, before, lowest = evidence["step"], evidence["before"], evidence["lowest"]
    if judgement.verdict == "supported":
        last = "" if before is None else f", after {before:.4g}"
        if before is not None and lowest is not None and before > 1.5 * abs(lowest):
            last += f"; it had climbed from {lowest:.4g} before"
        return f"No: the logged loss is NaN or Inf from step {step} on{last}.{others}"
    if step is not None:
        return f"In the end: a loss that is not finite was logged at step {step} and passed.{others}"
    return f"Yes: every logged loss is finite.{others}"


CHECK = Check(
    cause="non-finite",
    meaning="NaN or Inf in the logged loss",
    question="Is every logged loss finite?",
    rung=1,
    rank=0,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        f"Load a checkpoint from before step {evidence['step']}, lower the rate or clip the gradient; "
        "dk.diagnose with the model and the data names the place where it begins."
    ),
    code="torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # between backward() and step()",
    source="IEEE 754: NaN and Inf spread to everything computed from them",
    needs=("history",),
)
