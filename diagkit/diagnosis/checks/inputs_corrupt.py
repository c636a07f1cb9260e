"""Examples that hold nothing: one value throughout, many times the same, with different targets."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from diagkit.diagnosis.audit.labels import Table, table
from diagkit.diagnosis.baseline import constant_prediction_loss
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_PROOF, UNDECIDED, Check, Evidence, Judgement
from diagkit.objective import Batch

FEWEST_ENTRIES = 8  # of an example, from which one value throughout is no accident


def measure(case: Case) -> Evidence:
    numbers: dict[str, Any] = {"asked": False, "share": 0.0, "first": None, "floor": None, "material": False}
    known = table(case)
    if known is None or known.inputs[0].numel() < FEWEST_ENTRIES:
        return Evidence(numbers)
    blank = most_frequent_blank(known.inputs)
    numbers |= {"asked": True, "share": float(blank.double().mean())}
    if not bool(blank.any()):
        return Evidence(numbers)
    numbers["first"] = int(blank.nonzero()[0])
    numbers["floor"] = _least_loss(case, known, blank)
    numbers["material"] = numbers["floor"] is not None and case.is_material(numbers["floor"])
    return Evidence(numbers)


def most_frequent_blank(inputs: Tensor) -> Tensor:
    """[n], True for the examples that hold one and the same number throughout, the most frequent such."""
    flat = inputs.flatten(1)
    blank = (flat == flat[:, :1]).all(1)
    if not bool(blank.any()):
        return blank
    values, counts = flat[blank, 0].unique(return_counts=True)
    return blank & (flat[:, 0] == values[counts.argmax()])


def _least_loss(case: Case, known: Table, blank: Tensor) -> float | None:
    """What these examples add to the loss at least: as equal inputs they all get one and the same output."""
    if case.loss_fn is None:
        return None
    payload = case.everything.fixed.to_model((known.inputs[blank], known.targets[blank]))
    model = case.twin().model.eval()
    with case.objective.quiet():
        least = constant_prediction_loss(model, case.loss_fn, [Batch(payload, int(blank.sum()))])
    return None if least is None else least * float(blank.double().mean())


def judge(evidence: Evidence) -> Judgement:
    if evidence["material"]:
        return SUPPORTED_BY_PROOF
    return UNDECIDED if evidence["share"] > 0 and evidence["floor"] is None else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if not evidence["asked"]:
        return "Cannot be seen: the examples are not one tensor each, or too short to tell."
    if not evidence["share"]:
        return "Yes: no example holds one value throughout."
    blank = (
        f"{100 * evidence['share']:.3g} % of the examples hold one number throughout "
        f"(first: example {evidence['first']})"
    )
    if evidence["floor"] is None:
        return f"Open: {blank}."
    cost = f"their targets differ, so that they cost at least {evidence['floor']:.3g} of the loss"
    return f"{'No' if judgement.verdict == 'supported' else 'Nearly'}: {blank}; {cost}."


CHECK = Check(
    cause="inputs-corrupt",
    meaning="examples that are blank, constant or garbage",
    question="Do the inputs hold something?",
    rung=1.6,
    rank=0.8,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        f"Look at how example {evidence['first']} is read (a file not found, a failed decoding, a zero range "
        "in the normalization), and repair or drop such examples."
    ),
    code="blank = (X.flatten(1) == X.flatten(1)[:, :1]).all(1)\nX, y = X[~blank], y[~blank]",
    source="equal inputs get equal outputs: the loss of their best constant prediction is its least",
)
