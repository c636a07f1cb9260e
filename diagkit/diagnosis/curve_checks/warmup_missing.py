"""An early jump of the loss at full learning rate that the run did not make good."""

from __future__ import annotations

from typing import Any

import numpy as np

from diagkit.diagnosis.check import REFUTED, SUPPORTED_PROBABLY, Check, Evidence, Judgement

EARLY = 0.15  # share of the run
FULL = 0.5  # share of the highest rate from which on a first rate is no warm-up


def measure(case: Any) -> Evidence:
    found = case.curve.rise
    lr = case.history.lr
    known = None if lr is None else lr[np.isfinite(lr)]
    first = None if known is None or not len(known) or not known.max() > 0 else float(known[0] / known.max())
    return Evidence({"rise": found, "first_rate": first}, (case.curve,))


def judge(evidence: Evidence) -> Judgement:
    found = evidence["rise"]
    warmed = evidence["first_rate"] is not None and evidence["first_rate"] < FULL
    early = found is not None and found.sudden and found.share <= EARLY
    return SUPPORTED_PROBABLY if early and not warmed else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    found = evidence["rise"]
    if found is None or not found.sudden:
        return "No: no early jump that stayed."
    where = (
        f"at step {found.step} ({100 * found.share:.2g} % of the run) the loss jumps from {found.before:.4g} "
        f"to stay at {found.after:.4g}"
    )
    rate = evidence["first_rate"]
    began = "" if rate is None else f"; the first rate is {100 * rate:.3g} % of the highest"
    return f"{'Yes' if judgement.verdict == 'supported' else 'No'}: {where}{began}."


CHECK = Check(
    cause="warmup-missing",
    meaning="an early spike at full learning rate from which the run did not recover",
    question="Did an early spike throw the run back for good?",
    group="sizeable",
    rung=8.2,
    rank=4.5,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        "Start again with a rate that grows linearly over the first steps (2/(1 - beta2) of them for Adam, "
        "up to a tenth of the run), or with a lower one."
    ),
    code="warmup = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.01, total_iters=2000)",
    source="two-segment fit behind the lowest level; length of a warm-up: Ma and Yarats, AAAI 2021",
    needs=("history",),
)
