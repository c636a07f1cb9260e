"""Features whose scales or offsets are far apart: the problem is badly conditioned."""

from __future__ import annotations

from typing import Any

from diagkit.diagnosis.audit.labels import table
from diagkit.diagnosis.audit.scales_of_data import TENFOLD, Affine, scale_inputs, scales_of, tried_afresh
from diagkit.diagnosis.audit.scaling_verdict import judge_scaling, scaling_in_words
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import Check, Evidence, Judgement


def measure(case: Case) -> Evidence:
    numbers: dict[str, Any] = {"worst": None, "stuck": False, "helps": None}
    known = table(case)
    if known is None or not known.inputs.is_floating_point() or known.inputs.ndim < 2:
        return Evidence(numbers)
    found = scales_of(known.inputs)
    numbers |= {"worst": found.worst, "ratio": found.ratio, "offset": found.offset, "size": found.size}
    numbers["stuck"] = found.worst >= TENFOLD and not case.nothing_to_gain and case.is_stuck
    if not numbers["stuck"]:
        return Evidence(numbers)
    affine = Affine.of(known.inputs)
    tried = tried_afresh(case, "inputs scaled", lambda twin: scale_inputs(twin, affine), found.steeper)
    if tried is None:
        return Evidence(numbers)
    numbers["helps"] = tried[1]
    return Evidence(numbers, (tried[0],), tried[0])


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if evidence["worst"] is None:
        return "Nothing to scale: the inputs are symbols, or not one tensor."
    scales = (
        f"columns differ {evidence['ratio']:.2g}-fold in scale, means lie up to {evidence['offset']:.2g} "
        f"standard deviations off, the root mean square is {evidence['size']:.2g}-fold off one"
    )
    return scaling_in_words(evidence, judgement, scales, "with scaled inputs a fresh start ends lower")


CHECK = Check(
    cause="inputs-unscaled",
    meaning="feature scales or offsets so different that the problem is badly conditioned",
    question="Are the inputs scaled?",
    group="tiny",
    rung=3.8,
    rank=1.2,
    measure=measure,
    judge=judge_scaling,
    answer=answer,
    remedy=lambda evidence: (
        "Scale each feature to mean 0 and variance 1, fitted on the training data; start afresh."
    ),
    code="scaling = dk.fit_scaling(X, 'z-score')\nX = scaling.apply(X)",
    source="conditioning of the input covariance, LeCun et al. 1998 (Efficient BackProp); tried afresh",
)
