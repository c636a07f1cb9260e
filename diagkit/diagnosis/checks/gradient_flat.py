"""A plateau: the loss is high, the gradient next to nothing, and neither a minimum nor a saddle."""

from __future__ import annotations

from typing import Any

import numpy as np

from diagkit.diagnosis import arms
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_TRIAL, UNDECIDED, Check, Evidence, Judgement
from diagkit.diagnosis.scales import FLAT
from diagkit.diagnosis.trial import Trial
from diagkit.diagnosis.twin import can_start_afresh, start_afresh
from diagkit.objective import of_model, same_random_state
from diagkit.work import progress

FLAT_RATIO = 0.1  # gradient norm against that of fresh networks
ADAM_RATE = 1e-2


def measure(case: Case) -> Evidence:
    slope = case.relative_slope
    numbers: dict[str, Any] = {
        "slope": slope,
        "ratio": None,
        "verdict": case.place.verdict,
        "gradient_norm": case.gradient_norm,
        "flat": False,
        "helps": False,
        "remedy": "",
        "high": case.is_high,
    }
    saddle = case.place.verdict == "saddle" and not case.is_plateau
    if not case.is_high or case.nothing_to_gain or saddle:
        return Evidence(numbers, (case.place,))
    fresh = case.once("fresh gradient norm", lambda: fresh_gradient_norm(case))
    numbers["ratio"] = None if fresh is None else case.gradient_norm / max(fresh, 1e-300)
    small = numbers["ratio"] is not None and numbers["ratio"] <= FLAT_RATIO
    numbers["flat"] = bool(slope <= FLAT or small) and case.is_stuck
    if not numbers["flat"]:
        return Evidence(numbers, (case.place,))
    best = _best_remedy(case)
    numbers["helps"], numbers["remedy"] = case.helps(best), best.remedy
    return Evidence(numbers, (case.place, best), best)


def fresh_gradient_norm(case: Case) -> float | None:
    """Median gradient norm of the same network freshly initialized, None where that cannot be done."""
    if not can_start_afresh(case.model):
        return None
    norms = []
    with same_random_state(), progress("fresh networks", 3) as advance:
        for seed in range(3):
            fresh = start_afresh(case.twin(), seed).model
            norms.append(float(of_model(case.objective, fresh).gradient().norm()))
            advance(1)
    return float(np.median(norms))


def _best_remedy(case: Case) -> Trial:
    """A fresh start, Adam from here, and only if neither helps both at once."""
    afresh = can_start_afresh(case.model)
    trials = [case.try_out(arm) for arm in ([arms.FRESH] if afresh else []) + [arms.adam(ADAM_RATE)]]
    if afresh and not any(case.helps(trial) for trial in trials):
        trials.append(case.try_out(arms.fresh_adam(ADAM_RATE)))
    return max(trials, key=lambda trial: trial.effect)


def judge(evidence: Evidence) -> Judgement:
    if not evidence["flat"]:
        return REFUTED
    if evidence["helps"]:
        return SUPPORTED_BY_TRIAL
    return UNDECIDED if evidence["verdict"] == "gradient-flat" else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    ratio = evidence["ratio"]
    against = "" if ratio is None else f", {ratio:.2g} times that of a fresh network"
    gradient = f"gradient norm {evidence['gradient_norm']:.2g}{against}"
    if judgement.verdict == "supported":
        return f"Yes ({gradient}): the loss is high and the slope leads nowhere."
    if not evidence["high"]:
        return f"No: the loss is not high ({gradient})."
    if evidence["verdict"] == "saddle" and not evidence["flat"]:
        return f"No: it is a saddle ({gradient})."
    if not evidence["flat"]:
        return f"No ({gradient})."
    return f"The slope is tiny ({gradient}), but no change of state or optimizer helped."


CHECK = Check(
    cause="gradient-flat",
    meaning="the gradient lies where the Hessian is near zero: a plateau",
    question="Tiny gradient at a high loss: is it a plateau?",
    group="tiny",
    rung=5,
    rank=4,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        f"Leave the plateau ({evidence['remedy'] or 'a fresh initialization'}); if it comes "
        "back, look at saturated or dead units, the loss function and the scale of the inputs."
    ),
    code="for module in model.modules():\n    if hasattr(module, 'reset_parameters'):\n"
    "        module.reset_parameters()",
    source="Frye et al. 2021, arXiv:2003.10397; fresh networks as the reference",
)
