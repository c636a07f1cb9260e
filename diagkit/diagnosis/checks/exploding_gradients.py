"""Gradients that grow from layer to layer, or far beyond those of a fresh network."""

from __future__ import annotations

from typing import Any

from diagkit.diagnosis import arms, layer_arms
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_TRIAL, Check, Evidence, Judgement
from diagkit.diagnosis.checks.gradient_flat import fresh_gradient_norm
from diagkit.diagnosis.layers.depth import first_that_helps, reach, signal_of, stuck_in_layers
from diagkit.diagnosis.scales import CEILING
from diagkit.diagnosis.twin import can_start_afresh

LARGE = (
    10.0  # in the norm, through the depth or against a fresh network: what counts as "exploding" in a Growth
)


def measure(case: Case) -> Evidence:
    signal = signal_of(case)
    found = None if signal is None else reach(signal)
    fresh = case.once("fresh gradient norm", lambda: fresh_gradient_norm(case)) if case.is_high else None
    ratio = None if not fresh else case.gradient_norm / fresh
    grows = (found is not None and found.low >= LARGE) or (ratio is not None and ratio >= LARGE)
    numbers: dict[str, Any] = {"reach": found, "ratio": ratio, "grows": grows, "stuck": False, "helps": False}
    results = () if signal is None else (signal,)
    lost = grows and (beyond_knowing_nothing(case) or stuck_in_layers(case))
    if not lost or not can_start_afresh(case.model):
        return Evidence(numbers, results)
    # The same rate from other weights: if it does well, the scale of these was wrong and not the rate.
    scaled = layer_arms.unit_variance(case.objective.batches[0].payload, case.objective.step)
    trial = first_that_helps(case, [(arms.FRESH, arms.AS_IS), (scaled, arms.AS_IS)])
    numbers |= {"stuck": True, "helps": trial is not None and case.helps(trial)}
    return Evidence(numbers, (*results, trial) if trial else results, trial)


def beyond_knowing_nothing(case: Case) -> bool:
    """A run with a log, still far above the loss of a constant prediction; that it falls is no comfort."""
    return case.trend is not None and case.baseline is not None and case.loss > CEILING * case.baseline


def judge(evidence: Evidence) -> Judgement:
    if not evidence["grows"] or not evidence["stuck"]:
        return REFUTED
    return SUPPORTED_BY_TRIAL if evidence["helps"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    found, ratio = evidence["reach"], evidence["ratio"]
    parts = (
        []
        if found is None
        else [f"from {found.last} to {found.first} it changes by a factor {found.ratio:.3g}"]
    )
    parts += [] if ratio is None else [f"its norm is {ratio:.3g} times that of a fresh network"]
    known = " and ".join(parts) or "there is nothing to compare with"
    if judgement.verdict == "supported":
        return f"No: {known}; from other initial weights the same rate does well."
    if evidence["stuck"]:
        return f"It is large ({known}), but other initial weights do no better at this rate."
    return f"{'It is large, but the run is not stuck for it' if evidence['grows'] else 'Yes'}: {known}."


CHECK = Check(
    cause="exploding-gradients",
    meaning="gradients grow through the layers, or far beyond those of a fresh network",
    question="Is the gradient of a sane size?",
    group="sizeable",
    rung=3.43,
    rank=2.43,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        "Initialize smaller (the layers' own default, or orthogonal weights in a recurrent net), add "
        "normalization, and clip the norm of the gradient."
    ),
    code="torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)  # between backward() and step()",
    source="Pascanu et al. 2013, arXiv:1211.5063; He et al. 2015; the same rate from other weights tried",
)
