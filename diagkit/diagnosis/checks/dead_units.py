"""ReLU units that no example activates: no gradient passes them, whatever the loss."""

from __future__ import annotations

from typing import Any

from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import (
    REFUTED,
    SUPPORTED_BY_PROOF,
    SUPPORTED_BY_TRIAL,
    Check,
    Evidence,
    Judgement,
)
from diagkit.diagnosis.layers.depth import slopes_of, with_layers_restarted
from diagkit.diagnosis.layers.units import ONE_SIDED

MOST = 0.5  # of the units of a layer: with fewer, others do their work (trained networks have 10 to 40 %)


def measure(case: Case) -> Evidence:
    found = slopes_of(case)
    rows = found.of(*ONE_SIDED)
    numbers: dict[str, Any] = {"layers": [], "share": 0.0, "stuck": False, "helps": False, "rate": False}
    numbers |= {"activations": len(rows), "examples": found.num_examples}
    if not len(rows):
        return Evidence(numbers)
    numbers["share"] = float(found.shut[rows].max())
    numbers["layers"] = list(dict.fromkeys(found.names[row] for row in rows if found.shut[row] >= MOST))
    return with_layers_restarted(case, found, numbers)


def judge(evidence: Evidence) -> Judgement:
    if not evidence["layers"] or not evidence["stuck"] or evidence["rate"]:
        return REFUTED
    if evidence["share"] >= 1.0:
        return SUPPORTED_BY_PROOF  # nothing in front of a layer that is dead as a whole can learn
    return SUPPORTED_BY_TRIAL if evidence["helps"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if not evidence["activations"]:
        return "There are no ReLU units to be dead."
    share = f"{100 * evidence['share']:.3g} % of the units"
    if not evidence["layers"]:
        return f"Yes: at most {share} of a layer are silent for all {evidence['examples']} examples."
    where = (
        f"{share} behind {', '.join(evidence['layers'][:3])} are 0 for all {evidence['examples']} examples"
    )
    if judgement.verdict == "supported":
        return f"No: {where}, and no gradient passes them."
    if evidence["rate"]:
        return f"{where}, but at this rate a fresh network ends the same way: the rate comes first."
    return f"{where}, but " + (
        "initializing them again gains nothing."
        if evidence["stuck"]
        else "it is not they that hold the run up."
    )


CHECK = Check(
    cause="dead-units",
    meaning="ReLU units that no example activates",
    question="Do the ReLU units let anything through?",
    group="tiny",
    rung=3.13,
    rank=2.13,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        f"Initialize {', '.join(evidence['layers'][:3])} again, with biases of 0; if units die again, lower "
        "the rate (or warm it up), or take LeakyReLU, whose slope is nowhere 0."
    ),
    code="for module in model.modules():\n    if hasattr(module, 'reset_parameters'):\n"
    "        module.reset_parameters()",
    source="slope of each unit over all examples; Lu et al. 2019, arXiv:1903.06733; layers initialized again",
)
