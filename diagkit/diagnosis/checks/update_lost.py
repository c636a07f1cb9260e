"""The update is computed and the weights do not change: rounding in 16-bit storage, or a backend kernel."""

from __future__ import annotations

from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_PROOF, UNDECIDED, Check, Evidence, Judgement
from diagkit.diagnosis.own_step.observe import own_step
from diagkit.diagnosis.own_step.plain import plain_steps
from diagkit.diagnosis.own_step.replay import is_narrow

HALF = 0.5  # of the exact update arrives, and of its entries


def measure(case: Case) -> Evidence:
    assert case.optimizer is not None
    narrow = [n for n, p in case.model.named_parameters() if is_narrow(p)]
    books = own_step(case) or (plain_steps(case) if narrow else None)
    rounding = {} if books is None else books.rounding
    exact = sum(r.exact for r in rounding.values())
    bearing = sum(r.bearing for r in rounding.values())
    numbers = {
        "narrow": narrow,
        "looked": books is not None and bool(rounding),
        "arrived": sum(r.along for r in rounding.values()) / exact if exact else 1.0,
        "unmoved": sum(r.unmoved for r in rounding.values()) / bearing if bearing else 0.0,
        "lost": [n for n, r in rounding.items() if r.bearing and r.unmoved == r.bearing],
        "updates": 0 if books is None else len(books.updates),
        # Near the end of a schedule every update is lost, and nobody misses it.
        "faded": any(
            float(g["lr"]) < 0.01 * float(g.get("initial_lr", g["lr"])) for g in case.optimizer.param_groups
        ),
    }
    return Evidence(numbers, (books,) if books is not None else ())


def judge(evidence: Evidence) -> Judgement:
    if not evidence["lost"] and evidence["unmoved"] < HALF:
        return REFUTED
    if evidence["faded"]:
        return REFUTED
    if evidence["arrived"] < HALF and evidence["unmoved"] >= HALF:
        return SUPPORTED_BY_PROOF
    return UNDECIDED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if not evidence["looked"]:
        return "Yes, by its storage: no parameter has fewer than 32 bits; no update was looked at."
    share = f"{100 * evidence['unmoved']:.0f} % of the entries that should have moved are bit-identical"
    facts = (
        f"in {evidence['updates']} updates {share}, and {100 * evidence['arrived']:.0f} % of the update "
        "computed in float64 arrived"
    )
    if judgement.verdict == "refuted":
        return f"Yes: {facts}."
    names = f" Wholly lost: {', '.join(evidence['lost'][:3])}." if evidence["lost"] else ""
    where = " The parameters are stored in 16 bits." if evidence["narrow"] else ""
    return f"{'No' if judgement.verdict == 'supported' else 'Not all'}: {facts}.{names}{where}"


def remedy(evidence: Evidence) -> str:
    if evidence["narrow"]:
        return (
            "Keep the parameters in float32 and compute in 16 bits under autocast, or sum with compensation."
        )
    return (
        "The storage could hold the update: a kernel or a hook loses it. Make the parameters contiguous, and "
        "try the optimizer with foreach=False, or on the CPU."
    )


CHECK = Check(
    cause="update-lost",
    meaning="the update is computed and the weights do not change",
    question="Do the computed updates arrive in the weights?",
    rung=1.541,
    rank=0.541,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=remedy,
    code="model.float()\n"
    "optimizer = type(optimizer)(model.parameters(), lr=optimizer.param_groups[0]['lr'])\n"
    "# and in the loop: with torch.autocast(device_type, dtype=torch.bfloat16): loss = ...",
    source="the same update in float64 on a copy; half an ulp of bfloat16 near 1 is 2^-8",
    needs=("optimizer",),
)
