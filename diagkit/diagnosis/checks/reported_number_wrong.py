"""The logged loss is a fixed multiple of the loss: summed over micro-batches, or divided once too often."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from diagkit.diagnosis.case import Case
from diagkit.diagnosis.check import REFUTED, SUPPORTED_PROBABLY, UNDECIDED, Check, Evidence, Judgement
from diagkit.diagnosis.curve import SHORTEST
from diagkit.diagnosis.twin import can_start_afresh, start_afresh
from diagkit.objective import of_model, same_random_state

FRESH = 5  # networks, for the loss at the start
LARGEST = 1024  # factor
SURE = 4.0  # standard errors


def measure(case: Case) -> Evidence:
    numbers: dict[str, Any] = {"now": None, "at_end": None, "at_start": None, "factor": None, "told": ""}
    log = case.history
    if log is None or log.loss is None:
        return Evidence(numbers)
    logged = log.loss[np.isfinite(log.loss)]
    if len(logged) < SHORTEST or not (logged > 0).all() or case.loss <= 0:
        return Evidence(numbers)
    tail = logged[-max(SHORTEST // 2, len(logged) // 10) :]
    end, end_error = float(tail.mean()), float(tail.std(ddof=1) / np.sqrt(len(tail)))
    numbers |= {"now": case.loss, "logged": end, "at_end": end / case.loss}
    if 0.5 < numbers["at_end"] < 2.0:
        return Evidence(numbers, (log,))
    lowest, highest = training_losses(case)
    numbers["at_end"] = end / (highest if end > highest else min(lowest, case.loss))
    fresh = fresh_losses(case)
    if fresh is None or log.step[0] > 1:
        return Evidence(numbers, (log,))
    # One batch, of the noise of a batch: that of the log is known from its tail, relative to its level.
    noise = float(tail.std(ddof=1)) / end
    start = float(logged[0])
    numbers["at_start"] = start / float(fresh.mean())
    start_error = noise + float(fresh.std(ddof=1) / fresh.mean())
    numbers["factor"] = common_factor(
        (numbers["at_end"], SURE * end_error / end), (numbers["at_start"], min(start_error, 0.25))
    )
    return Evidence(numbers, (log,))


def training_losses(case: Case) -> tuple[float, float]:
    """Lowest and highest of the losses in training and in evaluation mode: what a sound log may show."""
    model = case.twin().model.train()
    step = case.everything.step
    payloads = [case.everything.fixed.to_model(payload) for payload in case.read[:16]]
    with torch.no_grad(), same_random_state():
        torch.manual_seed(case.seed)
        value = float(np.mean([float(step(model, payload)) for payload in payloads]))
    return min(value, case.loss), max(value, case.loss)


def fresh_losses(case: Case) -> np.ndarray | None:
    """Of the same network freshly initialized a few times; None where that cannot be done."""
    if not can_start_afresh(case.model):
        return None
    with same_random_state():
        return np.array(
            [
                of_model(case.objective, start_afresh(case.twin(), seed).model).loss()
                for seed in range(case.seed, case.seed + FRESH)
            ]
        )


def common_factor(*ratios: tuple[float, float]) -> float | None:
    """The whole number, or one over it, that all (ratio, relative error) agree with, if there is one."""
    if all(r > 1 for r, _ in ratios):
        factor = float(round(float(np.exp(np.mean([np.log(r) for r, _ in ratios])))))
    elif all(r < 1 for r, _ in ratios):
        factor = 1.0 / round(float(np.exp(-np.mean([np.log(r) for r, _ in ratios]))))
    else:
        return None
    if not 2 <= max(factor, 1 / factor) <= LARGEST:
        return None
    return factor if all(abs(r / factor - 1) <= 0.1 + error for r, error in ratios) else None


def judge(evidence: Evidence) -> Judgement:
    if evidence["factor"] is not None:
        return SUPPORTED_PROBABLY
    if evidence["now"] is None or evidence["at_start"] is None:
        return REFUTED
    start = evidence["at_start"]
    return UNDECIDED if start > 2 or start < 0.5 else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    if evidence["now"] is None:
        return "Cannot be seen: too few logged losses, or not all positive."
    losses = f"the log ends at {evidence['logged']:.4g}, the loss computed again is {evidence['now']:.4g}"
    if judgement.verdict == "supported":
        f = evidence["factor"]
        times = f"{f:.0f} times" if f > 1 else f"1/{1 / f:.0f} of"
        return f"No: {losses}; at the start and at the end the log shows {times} what it should."
    if judgement.verdict == "undecided":
        return f"Open: {losses}; start and end do not differ by one whole factor."
    return f"Yes: {losses}."


CHECK = Check(
    cause="reported-number-wrong",
    meaning="training is fine, the logged loss is not",
    question="Is the logged loss the loss?",
    rung=3.9,
    rank=8,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        "Log the mean over the examples of a step once: sum the micro-batches' losses and divide by their "
        "number, and do not divide by the batch size where the loss is a mean already."
    ),
    code="recorder.log(loss=sum(losses) / len(losses))  # of the micro-batches of one step",
    source="the loss computed again at the parameters given, and for fresh networks",
    needs=("history",),
)
