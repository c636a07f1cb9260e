"""Gradients that are never cleared: each update uses the sum of all that came before."""

from __future__ import annotations

from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_PROOF, UNDECIDED, Check, Evidence, Judgement
from diagkit.diagnosis.own_step.observe import own_step
from diagkit.diagnosis.own_step.trial import try_plain_loop
from diagkit.diagnosis.own_step.words import unseen

CERTAIN = 2  # updates that must all show it
MOST = 0.5  # share of the tensors


def measure(case: Case) -> Evidence:
    books = own_step(case)
    assert books is not None
    # The first update says nothing: what came before it was not observed.
    later = [update.tensors.carried for update in books.updates[1:] if update.tensors.carried]
    always = [n for n in later[0] if all(c.get(n, False) for c in later)] if later else []
    share = len(always) / len(later[0]) if later else 0.0
    numbers = {
        "updates": len(later),
        "share": share,
        "names": always[:3],
        "growth": books.of("at_step").tolist(),
        "error": books.error,
    }
    evidence = Evidence(numbers, (books,))
    if judge(evidence) == SUPPORTED_BY_PROOF:
        trial = try_plain_loop(case)
        return Evidence(numbers, evidence.results, trial)
    return evidence


def judge(evidence: Evidence) -> Judgement:
    if evidence["updates"] >= CERTAIN and evidence["share"] >= MOST:
        return SUPPORTED_BY_PROOF
    if evidence["share"] or not evidence["updates"]:
        return UNDECIDED
    return REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if not evidence["updates"]:
        return unseen(evidence)
    if judgement.verdict == "refuted":
        return (
            f"Yes: before each of {evidence['updates']} updates the gradients of the last one were cleared."
        )
    sizes = ", ".join(f"{size:.3g}" for size in evidence["growth"][:4])
    return (
        f"No: {100 * evidence['share']:.0f} % of the tensors ({', '.join(evidence['names'])}, ...) still "
        "held the gradient of the update before; the gradient's norm at the observed updates in turn: "
        f"{sizes}."
    )


CHECK = Check(
    cause="gradients-accumulate",
    meaning=".grad is not cleared between steps",
    question="Are gradients cleared between updates?",
    rung=1.522,
    rank=0.522,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: "Clear the gradients once per update, before the first backward.",
    code="optimizer.zero_grad()\nloss.backward()\noptimizer.step()",
    source="the gradient left by one update is still there at the next, in the observed step",
    needs=("train_step",),
)
