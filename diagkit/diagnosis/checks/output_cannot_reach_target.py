"""A last activation that excludes the targets, or blocks the gradient of the outputs that should rise."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from diagkit.diagnosis import arms
from diagkit.diagnosis.audit.last_activation import (
    LastActivation,
    fresh_without_activation,
    last_activation,
    without_activation,
)
from diagkit.diagnosis.audit.loss_response import answer_to
from diagkit.diagnosis.audit.probe import Probe, probe
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import (
    REFUTED,
    SUPPORTED_BY_PROOF,
    SUPPORTED_BY_TRIAL,
    UNDECIDED,
    Check,
    Evidence,
    Judgement,
)
from diagkit.diagnosis.trial import Trial
from diagkit.diagnosis.twin import can_start_afresh

MOST_OF_IT = 0.5  # share of the loss that is out of reach, from which nothing else need be asked


def measure(case: Case) -> Evidence:
    numbers: dict[str, Any] = {
        "kind": "",
        "constant": False,
        "outside": 0.0,
        "floor": 0.0,
        "material": False,
        "share": 0.0,
        "blocked": 0.0,
        "helps": False,
        "tried": False,
    }
    found, last = probe(case), last_activation(case)
    if found is None or last is None:
        return Evidence(numbers)
    numbers |= {"kind": last.kind, "constant": last.is_constant}
    with found.quiet():
        numbers |= out_of_reach(found, last)
        numbers["blocked"] = blocked(found) if last.kind == "ReLU" else 0.0
    numbers["material"] = case.is_material(numbers["floor"])
    numbers["share"] = numbers["floor"] / max(abs(case.loss), 1e-300)
    stopped = numbers["blocked"] > 0 and case.is_stuck
    if case.nothing_to_gain or not (numbers["constant"] or numbers["material"] or stopped):
        return Evidence(numbers)
    trial = _best_trial(case, last.layer)
    numbers |= {"helps": case.helps(trial), "tried": True}
    return Evidence(numbers, (trial,), trial)


def out_of_reach(found: Probe, last: LastActivation) -> dict[str, float]:
    """Share of the real targets beyond the range of the outputs, and the loss that they leave at least."""
    outside, floors, sizes = [], [], []
    for batch in found.batches:
        seen = found.see(batch)
        target, output = seen.target, seen.output
        if target is None or output is None or not target.is_floating_point():
            return {}
        if target.numel() != output.numel():
            return {}
        lined_up = target.reshape(output.shape)
        slack = 1e-6 * float(lined_up.abs().max())
        beyond = (lined_up < last.low - slack) | (lined_up > last.high + slack)
        nearest = answer_to(found, batch, lined_up.clamp(last.low, last.high))
        ideal = answer_to(found, batch, lined_up)
        if nearest is None or ideal is None:
            return {}
        outside.append(float(beyond.double().mean()))
        floors.append(nearest.loss - ideal.loss)
        sizes.append(batch.size)
    floor = float(np.average(floors, weights=sizes))
    known = {"outside": float(np.average(outside, weights=sizes))}
    return known | {"floor": floor if np.isfinite(floor) and known["outside"] > 0 else 0.0}


def blocked(found: Probe) -> float:
    """Share of examples whose output at the target is exactly 0: no gradient passes that could raise it."""
    shares = []
    for batch in found.batches:
        seen = found.see(batch)
        if seen.output is None or seen.target is None:
            return 0.0
        share = _stopped(seen.output.detach(), seen.target)
        if share is None:
            return 0.0
        shares.append(share)
    return float(np.mean(shares))


def _stopped(output: Tensor, target: Tensor) -> float | None:
    if target.is_floating_point():
        if target.numel() != output.numel():
            return None
        stopped = (output == 0) & (target.reshape(output.shape) > 0)
        return float(stopped.double().mean())
    if output.ndim != 2 or target.ndim != 1 or bool((target < 0).any()):
        return None
    return float((output.gather(1, target[:, None]) == 0).double().mean())


def _best_trial(case: Case, layer: str) -> Trial:
    trial = case.try_out(without_activation(layer))
    if not case.helps(trial) and can_start_afresh(case.model):
        afresh = case.try_out(fresh_without_activation(layer), arms.FRESH)
        return afresh if case.helps(afresh) else trial
    return trial


def judge(evidence: Evidence) -> Judgement:
    if evidence["constant"]:
        return SUPPORTED_BY_PROOF
    if evidence["material"] and evidence["share"] >= MOST_OF_IT:
        return SUPPORTED_BY_PROOF
    if evidence["helps"]:
        return SUPPORTED_BY_TRIAL
    return UNDECIDED if evidence["material"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    kind = evidence["kind"]
    if not kind:
        return "Yes: no activation that bounds the outputs stands after the last layer."
    if evidence["constant"]:
        return "No: a softmax over one unit is 1 whatever goes in."
    if evidence["outside"]:
        text = (
            f"{100 * evidence['outside']:.3g} % of the targets lie beyond the range of the last {kind}; the "
            f"loss cannot fall below {evidence['floor']:.3g}, "
            f"{100 * min(evidence['share'], 1.0):.0f} % of what it is"
        )
    else:
        text = f"the targets lie within the range of the last {kind}"
    if evidence["blocked"]:
        text += (
            f"; {100 * evidence['blocked']:.0f} % of the outputs that should rise are exactly 0, so stay 0"
        )
    if judgement.verdict == "supported":
        return f"No: {text}."
    return f"{'Open' if judgement.verdict == 'undecided' else 'Yes'}: {text}" + (
        "; without it the run ends no lower." if evidence["tried"] else "."
    )


CHECK = Check(
    cause="output-cannot-reach-target",
    meaning="the last activation excludes the targets, or the outputs that are needed",
    question="Can the outputs reach the targets?",
    group="able",
    rung=1.5,
    rank=0.7,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        "Use a sigmoid and binary cross-entropy for one unit."
        if evidence["constant"]
        else f"Take the {evidence['kind']} off the last layer: logits and unbounded targets need raw outputs."
    ),
    code="model = nn.Sequential(..., nn.Linear(width, outputs))  # nothing after it",
    source="the loss at the nearest outputs within range; tried without the activation",
)
