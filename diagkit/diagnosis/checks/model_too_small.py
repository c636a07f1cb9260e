"""The model cannot fit the training data however trained: a larger one does better on new examples, too."""

from __future__ import annotations

from typing import Any

from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_TRIAL, UNDECIDED, Check, Evidence, Judgement
from diagkit.diagnosis.layers.capacity import LONGER, small_batch_loss, trained_larger
from diagkit.diagnosis.scales import LARGE
from diagkit.diagnosis.trial import LAST
from diagkit.diagnosis.twin import can_start_afresh


def measure(case: Case) -> Evidence:
    numbers: dict[str, Any] = {
        "asked": False,
        "few": None,
        "built": False,
        "helps": False,
        "optimizer": False,
    }
    numbers |= {"own": None, "larger": None}
    # A fifth of the unit must be there to be gained, and the run must have come to its end.
    if case.loss <= LARGE * case.unit or not case.is_stuck or not can_start_afresh(case.model):
        return Evidence(numbers)
    numbers["asked"] = True
    trial = trained_larger(case)
    if trial is None:
        numbers["few"] = small_batch_loss(case)
        return Evidence(numbers)
    own = float(trial.without[:, -LAST:].mean())
    numbers |= {"built": True, "own": own, "larger": trial.level}
    # This model, trained afresh, reaches far lower than the run: then the training was at fault.
    numbers["optimizer"] = own < case.loss - LARGE * case.unit
    numbers["helps"] = trial.interval[0] > 0 and trial.effect > LARGE * min(case.unit, abs(own) or case.unit)
    numbers["helps"] = numbers["helps"] and trial.effect > LARGE * (case.baseline or case.unit)
    if numbers["helps"]:
        numbers["few"] = small_batch_loss(case)
    return Evidence(numbers, (trial,), trial)


def judge(evidence: Evidence) -> Judgement:
    if not evidence["asked"] or evidence["optimizer"]:
        return REFUTED
    if evidence["helps"]:
        return SUPPORTED_BY_TRIAL
    return REFUTED if evidence["built"] else UNDECIDED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if not evidence["asked"]:
        return "It fits, or is on its way."
    few = (
        ""
        if evidence["few"] is None
        else f" Eight examples alone it fits to {100 * evidence['few']:.2g} % of the loss of knowing nothing."
    )
    if not evidence["built"]:
        return f"No larger model of this kind could be built to compare with.{few}"
    levels = (
        f"trained afresh, this model reaches {evidence['own']:.4g} on new examples, a larger one "
        f"{evidence['larger']:.4g}"
    )
    if judgement.verdict == "supported":
        return f"No: {levels}.{few}"
    if evidence["optimizer"]:
        return f"Yes: {levels}; the run itself stopped above that, so that its training is at fault.{few}"
    return f"Yes: {levels}.{few}"


CHECK = Check(
    cause="model-too-small",
    meaning="cannot fit the training data however trained (model bias)",
    question="Is the model able to fit these data?",
    group="able",
    rung=8.53,
    rank=7.53,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        "Make the model larger: wider layers, or more of them; then look at validation again."
    ),
    code="hidden = 4 * hidden  # build the model anew with wider layers, and its optimizer after it",
    source=f"own and larger network from fresh starts, {LONGER} times a trial's steps, on held-out examples",
    dear=True,
)
