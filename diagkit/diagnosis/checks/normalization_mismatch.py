"""The statistics that BatchNorm uses in evaluation are not those that it trains with."""

from __future__ import annotations

from typing import Any

from diagkit.diagnosis import layer_arms
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
from diagkit.diagnosis.layers.modes import NORMS, ModeLosses, mode_losses
from diagkit.diagnosis.scales import LARGE
from diagkit.objective import thinned

TIME_CONSTANTS = 10  # of the running average, after which its start is forgotten (to a share of e^-10)
MOST_EXAMPLES = 1024


def modes_of(case: Case) -> ModeLosses:
    """Once for the case, in batches of the size of a training step."""
    size = max(case.batch_size, 2)
    part = thinned(case.everything, max(MOST_EXAMPLES, 2 * size), case.seed)
    return case.once("modes", lambda: mode_losses(part, size, seed=case.seed))


def measure(case: Case) -> Evidence:
    norms = [m for m in case.model.modules() if isinstance(m, NORMS) and m.track_running_stats]
    numbers: dict[str, Any] = {"norms": len(norms), "gap": 0.0, "evaluation": None, "batch": None}
    numbers |= {
        "material": False,
        "large": False,
        "old": False,
        "helps": False,
        "momentum": None,
        "tracked": 0,
    }
    if not norms:
        return Evidence(numbers)
    modes = modes_of(case)
    gap, (low, _) = modes.gap("batch statistics")
    numbers |= {"gap": gap, "evaluation": modes.mean("evaluation"), "batch": modes.mean("batch statistics")}
    numbers["material"] = low > 0 and case.is_material(gap)
    numbers["large"] = low > LARGE * case.unit
    momentum = [
        float(m.momentum) for m in norms if m.momentum is not None
    ]  # None: a plain average over all batches
    tracked = max((int(m.num_batches_tracked) for m in norms if m.num_batches_tracked is not None), default=0)
    numbers |= {"momentum": min(momentum, default=None), "tracked": tracked}
    numbers["old"] = tracked * min(momentum, default=1.0) >= TIME_CONSTANTS
    if not numbers["material"]:
        return Evidence(numbers, (modes,))
    trial = case.try_out(layer_arms.BATCH_STATISTICS)
    numbers["helps"] = trial.interval[0] > 0 and case.is_material(trial.effect)
    return Evidence(numbers, (modes, trial), trial)


def judge(evidence: Evidence) -> Judgement:
    if not evidence["material"]:
        return REFUTED
    if evidence["helps"]:  # the gap stays while training goes on
        return SUPPORTED_BY_TRIAL
    if evidence["old"]:
        return SUPPORTED_BY_PROOF if evidence["large"] else UNDECIDED
    return REFUTED  # the average has only begun


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if not evidence["norms"]:
        return "There is no layer that keeps running statistics."
    losses = (
        f"on the same batches {evidence['evaluation']:.4g} with running statistics, {evidence['batch']:.4g} "
        "with those of the batch"
    )
    kept = f"{evidence['tracked']} batches averaged with momentum {evidence['momentum'] or 'none'}"
    kept = kept.replace("momentum none", "equal weight")
    if judgement.verdict == "supported":
        goes_on = "" if evidence["helps"] else "; training on repairs it, so something else had spoilt them"
        return f"No: {losses} ({kept}){goes_on}."
    if not evidence["material"]:
        return f"Yes: {losses}."
    return f"Not now: {losses}, but training on closes the gap ({kept})."


CHECK = Check(
    cause="normalization-mismatch",
    meaning="batch statistics in training and running statistics in evaluation disagree",
    question="Do batch and running statistics agree?",
    group="validation",
    rung=2.53,
    rank=1.53,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        "Estimate the running statistics again before evaluating, and let them follow faster (momentum 0.1); "
        "with small batches take GroupNorm or LayerNorm, which do the same in both modes."
    ),
    code="for module in model.modules():\n    if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):\n"
    "        module.reset_running_stats()\n        module.momentum = None  # a plain average from here on\n"
    "model.train()\nwith torch.no_grad():\n    for inputs, _ in loader:\n        model(inputs)",
    source="the same batches in both modes; Ioffe 2017, arXiv:1702.03275; Wu, Johnson 2021, arXiv:2105.07576",
)
