"""An optimizer that holds tensors of an earlier model: its steps go where nobody looks."""

from __future__ import annotations

from collections import Counter
from typing import Any

from torch import Tensor

from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_PROOF, UNDECIDED, Check, Evidence, Judgement
from diagkit.diagnosis.own_step.observe import own_step


def place_of(tensor: Tensor) -> Any:
    """Storage by address: a view of a flat buffer is held where the buffer is. None where there is none."""
    try:
        return tensor.untyped_storage().data_ptr() or None
    except (RuntimeError, NotImplementedError):
        return None


def measure(case: Case) -> Evidence:
    assert case.optimizer is not None
    own = dict(case.model.named_parameters())
    tensors = [*own.values(), *case.model.buffers()]
    held = [p for group in case.optimizer.param_groups for p in group["params"]]
    own_ids, own_places = {id(p) for p in tensors}, {place_of(p) for p in tensors} - {None}
    held_ids, held_places = {id(p) for p in held}, {place_of(p) for p in held} - {None}
    absent = {
        name: p
        for name, p in own.items()
        if p.requires_grad and id(p) not in held_ids and place_of(p) not in held_places
    }
    foreign = [p for p in held if id(p) not in own_ids and place_of(p) not in own_places]
    kind = Counter((tuple(p.shape), p.dtype) for p in foreign)
    wanted = Counter((tuple(p.shape), p.dtype) for p in absent.values())
    like = len(foreign) == len(absent) and [p.ndim for p in foreign] == [p.ndim for p in absent.values()]
    books = own_step(case) if absent and foreign else None
    seen = books is not None and bool(books.updates) and bool(books.received & set(absent))
    numbers = {
        "absent": list(absent),
        "foreign": len(foreign),
        "share": sum(p.numel() for p in absent.values()) / max(sum(p.numel() for p in own.values()), 1),
        # Each missing tensor has a counterpart of its shape; or a part of the model is held, and beside it
        # as many tensors of others as are missing.
        "counterparts": not wanted - kind or (like and len(foreign) < len(held)),
        "seen": seen,
        "moved": sorted(books.changed & set(absent)) if books is not None else [],
    }
    return Evidence(numbers, (books,) if books is not None else ())


def judge(evidence: Evidence) -> Judgement:
    if not evidence["absent"] or not evidence["foreign"] or evidence["moved"]:
        return REFUTED
    if evidence["seen"] or evidence["counterparts"]:
        return SUPPORTED_BY_PROOF
    return UNDECIDED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    absent, foreign = evidence["absent"], evidence["foreign"]
    if not absent or not foreign:
        return "Yes: the optimizer holds no tensors of another model in place of this one's."
    names = ", ".join(absent[:3]) + (", ..." if len(absent) > 3 else "")
    facts = (
        f"the optimizer holds {foreign} tensors that are not the model's, and not {names} "
        f"({100 * evidence['share']:.0f} % of the parameters)"
    )
    if evidence["moved"]:
        return f"Yes: {facts}, but these were seen to move all the same."
    if judgement.verdict == "undecided":
        return f"Unclear: {facts}; train_step=... would show whether anything else trains them."
    seen = " In your own step they received gradients and did not move." if evidence["seen"] else ""
    return f"No: {facts}.{seen}"


CHECK = Check(
    cause="optimizer-stale-params",
    meaning="the optimizer updates tensors that are not the model's",
    question="Does the optimizer hold the parameters of this model?",
    rung=1.511,
    rank=0.511,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        "Build the optimizer after the model is final (rebuilt, moved, wrapped, its head replaced), from its "
        "own parameters; prepare model and optimizer in one call."
    ),
    code="optimizer = type(optimizer)(model.parameters(), lr=optimizer.param_groups[0]['lr'])",
    source="identity of objects, then of storage; TrainCheck (OSDI 2025)",
    needs=("optimizer",),
)
