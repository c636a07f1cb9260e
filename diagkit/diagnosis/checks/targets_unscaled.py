"""Regression targets far from unit scale: outputs begin far off, and gradients have their scale."""

from __future__ import annotations

from typing import Any

from diagkit.diagnosis.audit.labels import table
from diagkit.diagnosis.audit.probe import probe
from diagkit.diagnosis.audit.scales_of_data import TENFOLD, Affine, scale_targets, scales_of, tried_afresh
from diagkit.diagnosis.audit.scaling_verdict import judge_scaling, scaling_in_words
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import Check, Evidence, Judgement


def measure(case: Case) -> Evidence:
    numbers: dict[str, Any] = {"worst": None, "stuck": False, "helps": None}
    known, found, loss_fn = table(case), probe(case), case.loss_fn
    if known is None or found is None or loss_fn is None or not known.are_numbers:
        return Evidence(numbers)
    with found.quiet():
        output = found.see(found.batches[0]).output
    if output is None or output.shape[1:] != known.targets.shape[1:]:
        return Evidence(numbers)
    scales = scales_of(known.targets)
    worst = max(scales.size, scales.offset)
    numbers |= {"worst": worst, "offset": scales.offset, "size": scales.size}
    numbers["stuck"] = worst >= TENFOLD and not case.nothing_to_gain and case.is_stuck
    if not numbers["stuck"]:
        return Evidence(numbers)
    affine = Affine.of(known.targets)
    tried = tried_afresh(case, "targets scaled", lambda twin: scale_targets(twin, affine, loss_fn))
    if tried is None:
        return Evidence(numbers)
    numbers["helps"] = tried[1]
    return Evidence(numbers, (tried[0],), tried[0])


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if evidence["worst"] is None:
        return "Nothing to scale: the targets are not numbers in the shape of the outputs."
    scales = (
        f"the root mean square of the targets is {evidence['size']:.2g}-fold off one, their mean "
        f"{evidence['offset']:.2g} standard deviations off zero"
    )
    return scaling_in_words(
        evidence, judgement, scales, "with scaled targets a fresh start ends lower, in the same units"
    )


CHECK = Check(
    cause="targets-unscaled",
    meaning="regression targets far from unit scale",
    question="Are the targets scaled?",
    group="tiny",
    rung=3.7,
    rank=1.1,
    measure=measure,
    judge=judge_scaling,
    answer=answer,
    remedy=lambda evidence: (
        "Train on targets of mean 0 and variance 1, fitted on the training data, and scale predictions back; "
        "start afresh."
    ),
    code="scaling = dk.fit_scaling(y, 'z-score')\ny = scaling.apply(y)  # predict scaling.inverse(model(x))",
    source="tried from fresh starts, both arms looked at in the units given",
)
