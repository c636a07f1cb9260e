"""Weights said to be pretrained that look as if they had just been initialized."""

from __future__ import annotations

import math

from scipy import stats
from torch import nn

from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_PROBABLY, UNDECIDED, Check, Evidence, Judgement
from diagkit.diagnosis.own_step.in_use import updates_counted

FEWEST = 100  # entries to tell a distribution by
ALPHA = 1e-3
LAYERS = (nn.Linear, nn.modules.conv._ConvNd)


def looks_fresh(module: nn.Module) -> bool | None:
    """Is the weight distributed as torch initializes it, uniformly on +-1/sqrt(fan in)? None for few entries.

    Trained weights are neither bounded there nor uniform.

    Example
    -------
    >>> layer = nn.Linear(64, 32)
    >>> looks_fresh(layer)
    True
    >>> _ = nn.init.normal_(layer.weight)
    >>> looks_fresh(layer)
    False
    """
    weight = module.weight.detach().double().cpu().flatten()  # type: ignore[operator]
    if len(weight) < FEWEST:
        return None
    bound = 1.0 / math.sqrt(module.weight[0].numel())  # type: ignore[index]
    if float(weight.abs().max()) > bound * (1 + 1e-6):
        return False
    return bool(stats.kstest(weight.numpy()[:20_000], stats.uniform(-bound, 2 * bound).cdf).pvalue > ALPHA)


def measure(case: Case) -> Evidence:
    layers = {name: m for name, m in case.model.named_modules() if isinstance(m, LAYERS)}
    fresh = {name: looks_fresh(m) for name, m in layers.items()}
    told = {name: value for name, value in fresh.items() if value is not None}
    frozen = [name for name in told if not any(p.requires_grad for p in layers[name].parameters())]
    claim = getattr(case.model, "name_or_path", None) or getattr(
        getattr(case.model, "config", None), "_name_or_path", None
    )
    numbers = {
        "claim": str(claim) if claim else "",
        "told": len(told),
        "fresh": [name for name, value in told.items() if value],
        "frozen_fresh": [name for name in frozen if told[name]],
        "frozen": len(frozen),
        "updates": updates_counted(case.optimizer),
    }
    return Evidence(numbers)


def judge(evidence: Evidence) -> Judgement:
    body_is_fresh = evidence["told"] >= 2 and len(evidence["fresh"]) == evidence["told"]
    frozen_is_fresh = evidence["frozen"] >= 1 and len(evidence["frozen_fresh"]) == evidence["frozen"]
    if evidence["claim"] and (body_is_fresh or frozen_is_fresh):
        return SUPPORTED_PROBABLY
    if frozen_is_fresh:
        return UNDECIDED
    return REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if judgement.verdict == "refuted":
        if not evidence["claim"] and not evidence["frozen"]:
            return "Nothing says that weights were to be loaded: no layer is frozen, no source is named."
        return "Yes, by their distribution: not all weights are as at initialization."
    names = ", ".join((evidence["frozen_fresh"] or evidence["fresh"])[:3])
    facts = f"the weights of {names} are distributed as at initialization, uniformly on +-1/sqrt(fan in)"
    if judgement.verdict == "supported":
        return f"No: the model says that it comes from {evidence['claim']!r}, and {facts}."
    return f"Unclear: {facts}, and they are frozen; nothing tells whether a checkpoint was meant."


CHECK = Check(
    cause="pretrained-not-loaded",
    meaning="the load matched nothing, or an initialization ran afterwards",
    question="Were the pretrained weights loaded?",
    rung=1.583,
    rank=0.583,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        "Load strictly, or print what did not match: a prefix such as 'module.' makes every name differ. "
        "Initialize before loading, never after."
    ),
    code="report = model.load_state_dict(\n"
    "    {name.removeprefix('module.'): value for name, value in state.items()}, strict=False\n)\n"
    "print(report.missing_keys, report.unexpected_keys)",
    source="Kolmogorov-Smirnov test against torch's initialization; megvii-model/ShuffleNet-Series#37",
)
