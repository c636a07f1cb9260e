"""Labels that do not belong to their inputs: moved by a few places, or shuffled."""

from __future__ import annotations

from typing import Any

import torch

from diagkit.diagnosis import arms
from diagkit.diagnosis.audit.labels import dataset_table
from diagkit.diagnosis.audit.neighbours import Agreement, agreement
from diagkit.diagnosis.audit.repair import bench_of, shown
from diagkit.diagnosis.audit.validation import validation_table
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import (
    REFUTED,
    SUPPORTED_BY_PROOF,
    SUPPORTED_PROBABLY,
    UNDECIDED,
    Check,
    Evidence,
    Judgement,
)
from diagkit.diagnosis.trial import Trial
from diagkit.objective import Stepwise

SURE = 8.0  # standard deviations over permutations: agreement beyond doubt
CHANCE = 3.0  # within which it is none
MUCH_MORE = 3.0  # times the agreement as it stands, for a shift to explain it


def measure(case: Case) -> Evidence:
    numbers: dict[str, Any] = {
        "score": None,
        "shift": 0,
        "shifted_score": None,
        "validation_score": None,
        "stuck": False,
    }
    known = dataset_table(case)
    found = None if known is None else agreement(known, case.seed)
    if known is None or found is None:
        return Evidence(numbers)
    numbers["score"] = found.score
    if is_moved(found):
        shift = found.best_shift
        numbers |= {"shift": shift, "shifted_score": found.by_shift[shift]}
        trial = _trial(case, known.inputs, known.targets, shift)
        return Evidence(numbers, (trial,) if trial else (), trial)
    if found.score < CHANCE:
        other = validation_table(case)
        beside = None if other is None else agreement(other, case.seed)
        numbers["validation_score"] = None if beside is None else beside.score
        numbers["stuck"] = case.is_high and case.is_stuck
    return Evidence(numbers)


def is_moved(found: Agreement) -> bool:
    """Moved by some places, targets agree far better. Sorted data agree about as well either way."""
    shift = found.best_shift
    better = found.excess_by_shift[shift] > MUCH_MORE * max(found.excess, 0.0)
    return found.by_shift[shift] > SURE and better


def _trial(case: Case, inputs: torch.Tensor, targets: torch.Tensor, shift: int) -> Trial | None:
    """Trained on the labels as they are and moved back, both looked at with those moved back."""
    step = case.step or Stepwise.of_pairs(case.loss_fn).step
    moved = targets.roll(shift, 0)
    bench = bench_of(case, step, [(inputs, moved)])
    to_model = case.everything.fixed.to_model
    as_given = shown([to_model(payload) for payload in case.read], "labels as given")
    return bench.compare(arms.AS_IS, as_given)


def judge(evidence: Evidence) -> Judgement:
    if evidence["shift"]:
        return SUPPORTED_BY_PROOF
    if evidence["score"] is None or evidence["score"] >= CHANCE:
        return REFUTED
    beside = evidence["validation_score"]
    if beside is not None and beside > SURE:
        return SUPPORTED_PROBABLY
    return UNDECIDED if evidence["stuck"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    score = evidence["score"]
    if score is None:
        return "Cannot be seen: inputs without a distance, or too few."
    agree = f"{round(score, 1) + 0.0:.3g} standard deviations better than by chance"
    near = f"targets of neighbouring inputs agree {agree}"
    if evidence["shift"]:
        return (
            f"No: {near}; moved by {evidence['shift']} places they agree {evidence['shifted_score']:.3g} "
            "standard deviations better."
        )
    if judgement.verdict == "supported":
        return (
            f"No: {near}, while those of the validation data agree "
            f"{evidence['validation_score']:.3g} standard deviations better."
        )
    if judgement.verdict == "undecided":
        return f"Open: {near}, as with shuffled labels or a hard task; look at a few pairs, or give val_data."
    return f"Yes: {near}." if score >= CHANCE else f"Cannot be seen: {near}, but the run is not stuck."


CHECK = Check(
    cause="labels-mismatched",
    meaning="labels do not belong to the inputs",
    question="Do the labels belong to the inputs?",
    rung=1.65,
    rank=0.82,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        f"Move the labels by {evidence['shift']} places, and mend what moved them (a header row, a dropped "
        "example, a window)."
        if evidence["shift"]
        else "Join inputs and labels by a key, transform both alike, and look at a few pairs."
    ),
    code="y = y.roll(shift, 0)  # or join by a key: inputs.merge(labels, on='id', validate='one_to_one')",
    source="agreement of targets among nearest neighbours against permuted and moved targets",
)
