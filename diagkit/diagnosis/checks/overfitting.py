"""Training loss falls, validation loss rises: by the log, or by training again and watching it."""

from __future__ import annotations

from typing import Any

import numpy as np

from diagkit.diagnosis import arms, scales
from diagkit.diagnosis.audit.validation import Mean, validation_objective
from diagkit.diagnosis.bench import Bench
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import (
    REFUTED,
    SUPPORTED_BY_TRIAL,
    SUPPORTED_PROBABLY,
    UNDECIDED,
    Check,
    Evidence,
    Judgement,
)
from diagkit.diagnosis.twin import can_start_afresh

WORTH_STOPPING = 0.25  # share of the validation loss that stopping earlier must save


def measure(case: Case) -> Evidence:
    found = None if case.curve is None else case.curve.overfit
    numbers: dict[str, Any] = {"found": found, "validation": None, "best": None, "half": None, "helps": False}
    numbers["loss"] = case.loss
    results = () if case.curve is None else (case.curve,)
    if found is not None and found.significant:
        return Evidence(numbers, results)
    objective = validation_objective(case)
    if objective is None:
        return Evidence(numbers, results)
    numbers["validation"] = now = objective.loss()
    if (
        case.is_high
        or now <= case.loss + scales.MATERIAL_UNIT * case.unit
        or not can_start_afresh(case.model)
    ):
        return Evidence(numbers, results)
    seconds = scales.TRIAL_SHARE * case.budget
    bench = Bench(objective, case.twin, case.batch_size, case.seed, seconds, case.everything)
    run = bench.run(arms.FRESH)
    # The best point is chosen by half of the seeds and judged by the others: no gain from choosing.
    half = len(run.loss) // 2
    if half:
        best = int(run.loss[:half].mean(axis=0).argmin())
        level = Mean.of(np.minimum(run.loss[half:, best], now))
        numbers |= {"best": level.value, "half": level.half, "step": int(run.steps[best])}
        saved = now - level.value
        numbers["helps"] = saved > level.half and saved > max(
            WORTH_STOPPING * abs(now), scales.MATERIAL_UNIT * case.unit
        )
    return Evidence(numbers, results)


def judge(evidence: Evidence) -> Judgement:
    found = evidence["found"]
    if found is not None and found.significant and found.training_falls is not False:
        return SUPPORTED_PROBABLY if found.training_falls else UNDECIDED
    return SUPPORTED_BY_TRIAL if evidence["helps"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    found, now = evidence["found"], evidence["validation"]
    if found is not None and found.significant:
        rises = (
            f"the validation loss is lowest at step {found.step} ({found.lowest:.4g}) and rises from there "
            f"by {found.rise:.3g} ± {found.sem:.2g}"
        )
        if judgement.verdict == "supported":
            return f"Yes: {rises}, while the training loss does not."
        return (
            f"{'Perhaps' if judgement.verdict == 'undecided' else 'No'}: {rises}; so may the training loss."
        )
    if now is None:
        return (
            "No rise is seen in the log."
            if found is not None
            else "Cannot be seen: no validation data or losses."
        )
    losses = f"training loss {evidence['loss']:.4g}, validation loss {now:.4g}"
    if evidence["best"] is None:
        return f"No: {losses}."
    again = (
        f"a fresh run has {evidence['best']:.4g} ± {evidence['half']:.2g} on the validation data at step "
        f"{evidence['step']}"
    )
    return f"{'Yes' if judgement.verdict == 'supported' else 'No'}: {losses}; {again}."


CHECK = Check(
    cause="overfitting",
    meaning="training loss falls, validation loss rises",
    question="Training loss low, validation loss high: does it overfit?",
    group="validation",
    rung=8.4,
    rank=12,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        (
            f"Keep the checkpoint at step {evidence['found'].step}"
            if evidence["found"] is not None and evidence["found"].significant
            else "Stop at the lowest validation loss"
        )
        + "; for a lower one, more data or augmentation, weight decay, dropout, or a smaller model."
    ),
    source="rise of the validation loss behind its lowest point; Prechelt 1998, early stopping",
)
