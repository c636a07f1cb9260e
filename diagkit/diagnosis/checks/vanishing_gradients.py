"""Early layers receive almost no gradient, relative to late ones, and cannot learn."""

from __future__ import annotations

from typing import Any

from diagkit.diagnosis import arms, layer_arms
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_TRIAL, UNDECIDED, Check, Evidence, Judgement
from diagkit.diagnosis.layers.depth import first_that_helps, reach, signal_of, stuck_in_layers
from diagkit.diagnosis.twin import can_start_afresh

SMALL = 0.1  # of the gradient at the last hidden layer arrives at the first, as for "vanishing" in a Growth


def measure(case: Case) -> Evidence:
    signal = signal_of(case)
    found = None if signal is None else reach(signal)
    numbers: dict[str, Any] = {"reach": found, "few": False, "stuck": False, "helps": False}
    if signal is None or found is None:
        return Evidence(numbers)
    numbers["few"] = found.high <= SMALL
    if not numbers["few"] or not stuck_in_layers(case):
        return Evidence(numbers, (signal,))
    trial = None
    if can_start_afresh(case.model):
        scaled = layer_arms.unit_variance(case.objective.batches[0].payload, case.objective.step)
        trial = first_that_helps(case, [(scaled, arms.AS_IS), (arms.FRESH, arms.AS_IS)])
    numbers |= {"stuck": True, "helps": trial is not None and case.helps(trial)}
    return Evidence(numbers, (signal, trial) if trial else (signal,), trial)


def judge(evidence: Evidence) -> Judgement:
    if not evidence["few"] or not evidence["stuck"]:
        return REFUTED
    return SUPPORTED_BY_TRIAL if evidence["helps"] else UNDECIDED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    found = evidence["reach"]
    if found is None:
        return "There are no two hidden layers to compare."
    arrives = (
        f"{100 * found.ratio:.2g} % of the gradient at {found.last} arrives at {found.first} (95 % interval "
        f"{100 * found.low:.2g} to {100 * found.high:.2g} %)"
    )
    if judgement.verdict == "supported":
        return f"No: {arrives}; with signals kept at one scale through the depth, the network learns."
    if not evidence["few"]:
        return f"Yes: {arrives}."
    return f"Hardly: {arrives}, but " + (
        "other initial weights did not help." if evidence["stuck"] else "the run is not stuck for it."
    )


CHECK = Check(
    cause="vanishing-gradients",
    meaning="early layers receive almost no gradient, relative to late ones",
    question="Does the gradient reach the first layers?",
    group="tiny",
    rung=3.33,
    rank=2.33,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        "Keep signals at one scale through the depth: tanh or ReLU in place of sigmoid, initial weights to "
        "suit, normalization layers or skip connections."
    ),
    code="for module in model.modules():\n    if isinstance(module, torch.nn.Linear):\n"
    "        torch.nn.init.kaiming_normal_(module.weight, nonlinearity='relu')",
    source="Glorot and Bengio 2010; He et al. 2015, arXiv:1502.01852; unit variance: Mishkin and Matas 2016, "
    "arXiv:1511.06422",
)
