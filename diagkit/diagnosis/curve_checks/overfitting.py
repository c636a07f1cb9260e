"""Training loss falls, validation loss rises."""

from __future__ import annotations

from typing import Any

from diagkit.diagnosis.check import REFUTED, SUPPORTED_PROBABLY, UNDECIDED, Check, Evidence, Judgement


def measure(case: Any) -> Evidence:
    return Evidence({"found": case.curve.overfit, "logged": case.history.val_loss is not None}, (case.curve,))


def judge(evidence: Evidence) -> Judgement:
    found = evidence["found"]
    if found is None or not found.significant or found.training_falls is False:
        return REFUTED
    return SUPPORTED_PROBABLY if found.training_falls else UNDECIDED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    found = evidence["found"]
    if found is None:
        what = "too few validation losses" if evidence["logged"] else "no validation loss"
        return f"Cannot be seen: {what} in the log."
    lowest = f"the validation loss is lowest at step {found.step} ({found.lowest:.4g})"
    if not found.significant:
        return f"No: {lowest} and does not rise from there beyond its noise."
    rises = f"{lowest} and rises from there by {found.rise:.3g} ± {found.sem:.2g}"
    if found.training_falls is None:
        return f"Perhaps: {rises}; no training loss was logged to compare with."
    if not found.training_falls:
        return f"No: {rises}, but so does the training loss."
    return f"Yes: {rises}, while the training loss does not."


CHECK = Check(
    cause="overfitting",
    meaning="training loss falls, validation loss rises",
    question="Does the validation loss rise while the training loss falls?",
    group="validation",
    rung=8.4,
    rank=12,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        f"Keep the checkpoint at step {evidence['found'].step}; for a lower one, more data or augmentation, "
        "weight decay, dropout, or a smaller model."
    ),
    source="slope of the validation loss behind its lowest point, t-test at 0.5 %; Prechelt 1998",
    needs=("history",),
)
