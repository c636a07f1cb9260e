"""The sampler shows few of the examples, again and again."""

from __future__ import annotations

from typing import Any

from diagkit.diagnosis import arms
from diagkit.diagnosis.audit.labels import dataset_table
from diagkit.diagnosis.audit.order import EPOCHS, coverage
from diagkit.diagnosis.audit.repair import bench_of, lowers, shown
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import (
    REFUTED,
    SUPPORTED_BY_PROOF,
    SUPPORTED_BY_TRIAL,
    Check,
    Evidence,
    Judgement,
)
from diagkit.objective import Stepwise

BARELY = 0.1  # share of the examples expected, below which the sampler is suspect


def measure(case: Case) -> Evidence:
    numbers: dict[str, Any] = {"distinct": 0, "size": 0, "expected": 0.0, "barely": False, "helps": None}
    found = coverage(case.train_data)
    if found is None:
        return Evidence(numbers)
    numbers |= {"distinct": found.distinct, "size": found.size, "expected": found.expected}
    numbers["barely"] = found.distinct < BARELY * found.expected
    everything = dataset_table(case)
    if not numbers["barely"] or everything is None or everything.size < found.size / 2:
        return Evidence(numbers)
    step = case.step or Stepwise.of_pairs(case.loss_fn).step
    bench = bench_of(case, step, [(everything.inputs, everything.targets)])
    to_model = case.everything.fixed.to_model
    few = shown([to_model(payload) for payload in case.read], "the examples that the sampler shows")
    trial = bench.compare(arms.AS_IS, few)
    numbers["helps"] = lowers(trial)
    return Evidence(numbers, (trial,), trial)


def judge(evidence: Evidence) -> Judgement:
    if not evidence["barely"] or evidence["helps"] is False:
        return REFUTED
    return SUPPORTED_BY_TRIAL if evidence["helps"] else SUPPORTED_BY_PROOF


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if not evidence["size"]:
        return "Cannot be seen: there is no loader whose sampler could be looked through."
    text = (
        f"in {EPOCHS} epochs the sampler shows {evidence['distinct']} of {evidence['size']} examples, where "
        f"even drawing would show {evidence['expected']:.0f}"
    )
    if judgement.verdict == "supported":
        over = "; over all examples, drawing evenly ends lower" if evidence["helps"] else ""
        return f"No: {text}{over}."
    return f"{'Few' if evidence['barely'] else 'Yes'}: {text}" + (
        "; all of them gain nothing." if evidence["barely"] else "."
    )


CHECK = Check(
    cause="data-barely-covered",
    meaning="the sampler shows few distinct examples",
    question="Does training see the data?",
    rung=1.75,
    rank=0.86,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: "Draw from all examples; look at the weights, indices or subset of the sampler.",
    code="loader = DataLoader(dataset, batch_size=batch_size, shuffle=True)",
    source="indices that the sampler draws, counted",
)
