"""Parameters that are frozen, or that the optimizer does not hold."""

from __future__ import annotations

from diagkit.diagnosis import arms
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import (
    REFUTED,
    SUPPORTED_BY_PROOF,
    SUPPORTED_BY_TRIAL,
    Check,
    Evidence,
    Judgement,
)


def measure(case: Case) -> Evidence:
    named = {n: p for n, p in case.model.named_parameters() if p.is_floating_point()}
    held = {id(p) for g in (case.optimizer.param_groups if case.optimizer else []) for p in g["params"]}
    frozen = [n for n, p in named.items() if not p.requires_grad]
    absent = [n for n, p in named.items() if p.requires_grad and id(p) not in held] if case.optimizer else []
    total = sum(p.numel() for p in named.values())
    idle = sum(named[n].numel() for n in (*frozen, *absent))
    trial, helps = None, False
    if idle and not case.nothing_to_gain:
        trial = case.try_out(arms.THAWED)
        # Freezing a part on purpose is common and limits what the rest can reach; it is called the trouble
        # only where the rest reaches next to nothing. Leaving a trainable tensor out is seldom on purpose.
        helps = case.helps(trial) and case.is_stuck and (case.is_high or bool(absent))
    numbers = {
        "frozen": frozen,
        "absent": absent,
        "share": idle / max(total, 1),
        "helps": helps,
        "optimizer": case.optimizer is not None,
    }
    return Evidence(numbers, (trial,) if trial else (), trial)


def judge(evidence: Evidence) -> Judgement:
    if evidence["share"] >= 1.0:
        return SUPPORTED_BY_PROOF
    return SUPPORTED_BY_TRIAL if evidence["helps"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if not evidence["share"]:
        return "Yes: all parameters require gradients" + (
            " and are in the optimizer." if evidence["optimizer"] else "; no optimizer was given to look at."
        )
    parts = [
        f"{len(names)} tensors are {what} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
        for names, what in ((evidence["frozen"], "frozen"), (evidence["absent"], "not in the optimizer"))
        if names
    ]
    share = f"{100 * evidence['share']:.0f} % of the parameters"
    if judgement.verdict == "supported":
        return f"No: {' and '.join(parts)}, {share}; nothing can improve them."
    return (
        f"Not all: {' and '.join(parts)}, {share}; the others do well enough, or training all is no better."
    )


CHECK = Check(
    cause="parameters-not-trained",
    meaning="parameters are frozen, absent from the optimizer, or detached from the loss",
    question="Are the parameters trained at all?",
    rung=2,
    rank=1,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: "Thaw the parameters and build the optimizer from the model that is trained.",
    code="for p in model.parameters():\n    p.requires_grad_(True)\n"
    "optimizer = type(optimizer)(model.parameters(), lr=optimizer.param_groups[0]['lr'])",
    source="identity of tensors; thawing tried from the same checkpoint",
)
