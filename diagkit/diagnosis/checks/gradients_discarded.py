"""Gradients that exist after backward and are gone when the optimizer steps."""

from __future__ import annotations

from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_PROOF, UNDECIDED, Check, Evidence, Judgement
from diagkit.diagnosis.own_step.observe import own_step
from diagkit.diagnosis.own_step.words import unseen

CERTAIN = 2  # updates that must all show it


def measure(case: Case) -> Evidence:
    books = own_step(case)
    assert books is not None
    gone, had = 0, 0
    for update in books.updates:
        tensors = update.tensors
        with_gradient = [name for name, size in tensors.after_backward.items() if size > 0]
        if update.closure or not with_gradient:  # a closure makes its gradients within the step
            continue
        had += 1
        gone += not any(tensors.at_step[name] for name in with_gradient)
    cosines = [update.decay for update in books.updates if update.decay is not None]
    numbers = {
        "closures": sum(update.closure for update in books.updates),
        "had": had,
        "gone": gone,
        "moved": max((update.total("moved") for update in books.updates), default=0.0),
        "decay": min(cosines, default=None),
        "error": books.error,
    }
    return Evidence(numbers, (books,))


def judge(evidence: Evidence) -> Judgement:
    if evidence["gone"] and evidence["gone"] == evidence["had"] and evidence["had"] >= CERTAIN:
        return SUPPORTED_BY_PROOF
    if evidence["gone"] or not (evidence["had"] or evidence["closures"]):
        return UNDECIDED
    return REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    gone, had = evidence["gone"], evidence["had"]
    if judgement.verdict == "refuted":
        if not had:
            return "Yes: the optimizer computes its gradients by itself, through a closure."
        return f"Yes: in each of {had} updates the optimizer had gradients."
    if not gone:
        return unseen(evidence)
    text = f"In {gone} of {had} updates the gradients that backward had left were zero or gone at the step."
    if evidence["moved"]:
        decay = evidence["decay"]
        shrinks = " It points along -w: weight decay." if decay is not None and decay > 0.99 else ""
        text += f" What still moves the weights is not the gradient.{shrinks}"
    return f"No. {text}" if judgement.verdict == "supported" else f"Unclear. {text}"


CHECK = Check(
    cause="gradients-discarded",
    meaning="gradients exist after backward and are gone when the optimizer steps",
    question="Does the optimizer see the gradients that backward computed?",
    rung=1.521,
    rank=0.521,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: "Clear the gradients before backward, not between backward and step.",
    code="optimizer.zero_grad()\nloss.backward()\noptimizer.step()",
    source="gradient after backward against gradient at the step, in the observed step",
    needs=("train_step",),
)
