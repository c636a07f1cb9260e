"""The norm of the gradient is clipped so low that steps lose their length."""

from __future__ import annotations

from typing import Any

import numpy as np

from diagkit.diagnosis import arms, layer_arms
from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_BY_TRIAL, Check, Evidence, Judgement
from diagkit.diagnosis.own_step.books import OwnStep
from diagkit.diagnosis.own_step.observe import own_step
from diagkit.training import History

NAMES = (
    "clip_norm",
    "max_grad_norm",
    "max_norm",
    "grad_clip",
    "gradient_clip_val",
    "clip_grad_norm",
    "clip_value",
)
AFTER = ("grad_norm_clipped", "clipped_grad_norm", "grad_norm_after", "grad_norm_after_clip")
ROUNDING = 1e-3  # a norm computed in single precision, divided by itself plus 1e-6 and computed again
PILE = 0.2  # share of logged norms on one value that shows it to be a limit; it does not show a fault


def clip_norm(history: History) -> float | None:
    """The limit that the log tells: by name, or as the value at which the largest norms pile up.

    Example
    -------
    >>> clip_norm(History.from_dict({"loss": [1.0] * 5, "grad_norm": [0.3, 0.5, 0.5, 0.2, 0.5]}))
    0.5
    >>> clip_norm(History.from_dict({"loss": [1.0] * 5, "grad_norm": [0.3, 0.5, 0.4, 0.2, 0.1]})) is None
    True
    """
    for name in NAMES:
        known = _finite(history, name)
        if len(known) and known[-1] > 0:
            return float(known[-1])
    for name in (*AFTER, "grad_norm"):
        norms = _finite(history, name)
        if len(norms) >= 5 and norms.max() > 0:
            at_top = norms >= norms.max() * (1 - ROUNDING)
            if at_top.mean() >= PILE and at_top.sum() >= 3:
                return float(np.median(norms[at_top]))
    return None


def _finite(history: History, name: str) -> np.ndarray:
    values = history.series.get(name)
    return np.zeros(0) if values is None else values[np.isfinite(values)]


def clip_seen(books: OwnStep) -> float | None:
    """The norm to which gradients are scaled down between backward and step: the same in two updates or more.

    Sums over several backward passes are not told apart from scaling, and left alone.
    """
    after, at = books.of("after_backward"), books.of("at_step")
    shorter = (at > 0) & (at < after * (1 - ROUNDING))
    if shorter.sum() < 2 or books.calls != len(books.updates):
        return None
    norms = at[shorter]
    return float(np.median(norms)) if np.ptp(norms) <= ROUNDING * norms.max() else None


def measure(case: Case) -> Evidence:
    books = own_step(case)
    norm = None if case.history is None else clip_norm(case.history)
    if norm is None and books is not None:
        norm = clip_seen(books)
    numbers: dict[str, Any] = {"norm": norm, "stuck": False, "helps": False, "effect": None}
    results = tuple(r for r in (case.history, books) if r is not None)
    if norm is None or case.optimizer is None or case.nothing_to_gain or not case.is_stuck:
        return Evidence(numbers, results)
    trial = case.try_out(arms.AS_IS, layer_arms.clipped(norm))  # trials do not clip by themselves
    numbers |= {"stuck": True, "helps": case.helps(trial), "effect": trial.effect}
    return Evidence(numbers, (*results, trial), trial)


def judge(evidence: Evidence) -> Judgement:
    return SUPPORTED_BY_TRIAL if evidence["helps"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    norm = evidence["norm"]
    if norm is None:
        return "No clipping is seen: no limit in the log, and none in a step of your own (train_step=...)."
    if judgement.verdict == "supported":
        gain = f"the same steps unclipped lower it by {evidence['effect']:.3g}"
        return f"Yes: clipped to {norm:.3g} the loss stays; {gain}."
    return f"No: the gradient is clipped to {norm:.3g}, " + (
        "but the same steps unclipped gain nothing." if evidence["stuck"] else "and the loss falls or is low."
    )


CHECK = Check(
    cause="clipping-too-tight",
    meaning="the gradient is clipped to so small a norm that the steps lose their length",
    question="Does clipping hold the steps back?",
    group="sizeable",
    rung=5.63,
    rank=4.63,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        "Raise the limit to the 90th percentile of the unclipped norms, so that it meets the outliers only."
    ),
    code="norm = torch.nn.utils.get_total_norm(p.grad for p in model.parameters() if p.grad is not None)\n"
    "recorder.log(grad_norm=norm)  # before clipping: then clip at its 90th percentile",
    source="the same steps with and without; the share clipped shows nothing: Adam trains well with all",
    needs=("optimizer",),
)
