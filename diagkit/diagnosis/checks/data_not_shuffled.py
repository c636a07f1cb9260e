"""Batches that come ordered: each step pulls towards its own class and undoes the last one."""

from __future__ import annotations

from typing import Any

from diagkit.diagnosis import arms, scales
from diagkit.diagnosis.audit.labels import table
from diagkit.diagnosis.audit.order import is_random, spread_over_batches
from diagkit.diagnosis.audit.repair import shown
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_TRIAL, Check, Evidence, Judgement

UNLIKELY = 1e-6  # p-value of the order, below which it is tried


def measure(case: Case) -> Evidence:
    numbers: dict[str, Any] = {"asked": False, "between": None, "by_chance": None, "p": 1.0, "helps": False}
    known = table(case)
    if known is None or not case.knows_batches or is_random(case.train_data):
        return Evidence(numbers)
    spread = spread_over_batches(known.targets, known.cuts)
    if spread is None:
        return Evidence(numbers)
    numbers |= {"asked": True, "between": spread.between, "by_chance": spread.by_chance, "p": spread.p}
    if spread.p >= UNLIKELY or case.nothing_to_gain:
        return Evidence(numbers)
    to_model = case.everything.fixed.to_model
    in_order = shown([to_model(payload) for payload in case.read], "batches in the order given")
    trial = case.try_out(arms.AS_IS, in_order)
    numbers["helps"] = trial.interval[0] > 0 and case.is_material(
        trial.effect, trial.ceiling / scales.CEILING
    )
    return Evidence(numbers, (trial,), trial)


def judge(evidence: Evidence) -> Judgement:
    return SUPPORTED_BY_TRIAL if evidence["helps"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if not evidence["asked"]:
        return "Yes, or it cannot be seen: the batches are drawn at random, or did not come cut."
    text = (
        f"{100 * evidence['between']:.0f} % of the variation of the targets lies between batches, where "
        f"shuffling leaves {100 * evidence['by_chance']:.2g} %"
    )
    if judgement.verdict == "supported":
        return f"No: {text}; the same steps in random order end lower."
    return f"No: {text}, but shuffling gains nothing." if evidence["p"] < UNLIKELY else f"Yes: {text}."


CHECK = Check(
    cause="data-not-shuffled",
    meaning="batches ordered by class or otherwise far from a random sample",
    question="Are the batches random samples?",
    rung=1.7,
    rank=0.85,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: "Shuffle the examples before each epoch.",
    code="loader = DataLoader(dataset, batch_size=batch_size, shuffle=True)",
    source="analysis of variance of the targets over batches; tried in the given and in random order",
)
