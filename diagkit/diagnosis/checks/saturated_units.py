"""Sigmoid and tanh units on their flat ends: next to no gradient passes them."""

from __future__ import annotations

from typing import Any

from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_TRIAL, UNDECIDED, Check, Evidence, Judgement
from diagkit.diagnosis.layers.depth import slopes_of, with_layers_restarted

MOST = 0.5  # of the units of a layer
KINDS = ("sigmoid", "tanh")


def measure(case: Case) -> Evidence:
    found = slopes_of(case)
    rows = found.of(*KINDS)
    numbers: dict[str, Any] = {"layers": [], "share": 0.0, "slope": 1.0, "stuck": False, "helps": False}
    numbers |= {"activations": len(rows), "rate": False}
    if not len(rows):
        return Evidence(numbers)
    numbers["share"], numbers["slope"] = float(found.stuck[rows].max()), float(found.slopes[rows].min())
    numbers["layers"] = list(dict.fromkeys(found.names[row] for row in rows if found.stuck[row] >= MOST))
    return with_layers_restarted(case, found, numbers)


def judge(evidence: Evidence) -> Judgement:
    if not evidence["layers"] or not evidence["stuck"] or evidence["rate"]:
        return REFUTED
    return SUPPORTED_BY_TRIAL if evidence["helps"] else UNDECIDED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if not evidence["activations"]:
        return "There are no sigmoid or tanh units to saturate."
    share = f"{100 * evidence['share']:.3g} % of the units"
    if not evidence["layers"]:
        return f"Yes: at most {share} of a layer have a mean slope below 5 % of the steepest."
    where = (
        f"{share} behind {', '.join(evidence['layers'][:3])} have a mean slope below 5 % of the steepest, "
        f"the layer {100 * evidence['slope']:.2g} %"
    )
    if judgement.verdict == "supported":
        return f"No: {where}; initialized again, the network learns."
    if evidence["rate"]:
        return f"{where}, but at this rate a fresh network ends the same way: the rate comes first."
    return f"{where}, but " + (
        "initializing them again gains nothing; look at the scale of the inputs."
        if evidence["stuck"]
        else "it is not they that hold the run up."
    )


CHECK = Check(
    cause="saturated-units",
    meaning="sigmoid or tanh units stuck on their flat ends",
    question="Do sigmoid and tanh units have a slope left?",
    group="tiny",
    rung=3.23,
    rank=2.23,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        f"Initialize {', '.join(evidence['layers'][:3])} again with smaller weights and biases of 0; an "
        "output sigmoid belongs into the loss (binary_cross_entropy_with_logits), where it does not saturate."
    ),
    code="for module in model.modules():\n    if hasattr(module, 'reset_parameters'):\n"
    "        module.reset_parameters()",
    source="mean slope of each unit; Glorot and Bengio 2010; layers initialized again",
)
