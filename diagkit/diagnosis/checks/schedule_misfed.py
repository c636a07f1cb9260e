"""A learning-rate schedule that is stepped at the wrong cadence, restarted, or never advanced."""

from __future__ import annotations

from typing import Any

import numpy as np

from diagkit.diagnosis import arms
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
from diagkit.diagnosis.own_step.in_use import updates_counted, updates_logged
from diagkit.diagnosis.own_step.observe import own_step
from diagkit.diagnosis.own_step.schedule import base_rate, end_of, idle_share, rates_ahead, wraps_around

COLLAPSED = 0.01  # of the rate that the schedule scales
OVER = 0.5  # of the steps were made at such a rate
CHANGED = 1.5  # factor between two rates that matters


def measure(case: Case) -> Evidence:
    scheduler, books = case.scheduler, own_step(case)
    count = int(getattr(scheduler, "last_epoch", 0))
    updates = updates_counted(case.optimizer) or updates_logged(case.history)
    per_epoch = updates_per_epoch(case)
    made = 0 if books is None else len(books.updates)
    numbers: dict[str, Any] = {
        "count": count,
        "updates": updates,
        "per_epoch": per_epoch,
        "cadence": sum(books.scheduler_steps) / made if books is not None and made else None,
        "rate": case.rate,
        "base": base_rate(scheduler) if hasattr(scheduler, "optimizer") else case.rate,
        "end": end_of(scheduler),
        "wraps": wraps_around(scheduler),
        "per_epoch_rate": None,
        "idle": None,
        "restarts": restarts(case),
        "helps": None,
    }
    if updates is not None and count <= 0 and updates >= per_epoch:
        # What stepping it once per epoch would have made of the rate by now.
        ahead = rates_ahead(scheduler, updates // per_epoch)
        numbers["per_epoch_rate"] = None if ahead is None else ahead[-1]
    if numbers["cadence"]:
        numbers["idle"] = idle_share(scheduler, COLLAPSED)
    trial = None
    if suspicion(numbers) == "fed per update" and not case.nothing_to_gain:
        trial = case.try_out(arms.rate_times(numbers["base"] / case.rate if case.rate else 1.0))
        numbers["helps"] = case.helps(trial)
    results = tuple(r for r in (books, trial) if r is not None)
    return Evidence(numbers, results, trial)


def updates_per_epoch(case: Case) -> int:
    """Batches in an epoch."""
    try:
        if case.knows_batches:
            return max(len(case.train_data), 1)
    except TypeError:  # an iterator, or a data set without a length
        pass
    return max(case.everything.num_examples // case.batch_size, 1)


def restarts(case: Case) -> int:
    """How often the logged rate jumped back up to its highest value."""
    rates = None if case.history is None else case.history.series.get("lr")
    if rates is None:
        return 0
    rates = rates[np.isfinite(rates)]
    back = (rates[1:] > CHANGED * rates[:-1]) & (rates[1:] >= 0.9 * rates.max(initial=0.0))
    return int(back.sum())


def suspicion(evidence: Any) -> str:
    """What the counts say is wrong, or "nothing"."""
    count, updates, cadence = evidence["count"], evidence["updates"], evidence["cadence"]
    if updates is None or evidence["rate"] is None:
        return "unknown"
    if count <= 0 and not cadence and updates >= 2 * evidence["per_epoch"]:
        ahead = evidence["per_epoch_rate"]
        apart = ahead is not None and max(ahead, evidence["rate"]) > CHANGED * min(ahead, evidence["rate"])
        return "never advanced" if apart else "nothing"
    if cadence is None or cadence < 1:
        return "nothing"
    if evidence["end"] is not None and evidence["wraps"] and count > 2 * evidence["end"]:
        return "past its end" if evidence["end"] < evidence["per_epoch"] else "nothing"
    if count > 0 and updates > 2 * (count + evidence["per_epoch"]) and evidence["restarts"] >= 2:
        return "restarted"
    within = evidence["end"] is not None and count <= evidence["end"]
    over = evidence["idle"] is not None and evidence["idle"] >= OVER
    if over and evidence["rate"] <= COLLAPSED * evidence["base"] and not within:
        return "fed per update"
    return "nothing"


def judge(evidence: Evidence) -> Judgement:
    what = suspicion(evidence)
    if what in ("never advanced", "past its end", "restarted"):
        return SUPPORTED_BY_PROOF
    if what == "fed per update":
        return SUPPORTED_BY_TRIAL if evidence["helps"] else REFUTED
    return UNDECIDED if what == "unknown" else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    count, updates, per_epoch = evidence["count"], evidence["updates"], evidence["per_epoch"]
    what = suspicion(evidence)
    if what == "unknown":
        return "Unclear: how many updates were made is not known; history=... would tell."
    facts = f"{count} steps of the schedule, {updates} updates, {per_epoch} updates in an epoch"
    if evidence["cadence"]:
        facts += f", {evidence['cadence']:.3g} steps of the schedule per update in your own step"
    if judgement.verdict == "refuted":
        return f"Yes, as far as counts tell: {facts}."
    why = {
        "never advanced": f"it was never stepped; once per epoch it would have come to a rate of "
        f"{evidence['per_epoch_rate'] or 0.0:.3g} instead of {evidence['rate']:.3g}",
        "past its end": f"its period of {evidence['end']} steps is shorter than an epoch, so that the rate "
        "goes up and down many times",
        "restarted": f"its count fell back; the logged rate jumped to its top {evidence['restarts']} times",
        "fed per update": f"the rate fell to {evidence['rate']:.3g} of {evidence['base']:.3g}, and with the "
        "latter the loss falls again",
    }[what]
    return f"No: {why} ({facts})."


def remedy(evidence: Evidence) -> str:
    return {
        "never advanced": "Call scheduler.step(): once per epoch, or per update if it counts updates.",
        "restarted": "Build the schedule once, before the loop over epochs, and restore it on resuming.",
    }.get(suspicion(evidence), "Step the schedule once per epoch, or give its lengths in updates.")


CHECK = Check(
    cause="schedule-misfed",
    meaning="the learning-rate schedule is stepped at the wrong cadence, restarted, or never advanced",
    question="Is the schedule stepped as it counts?",
    rung=1.571,
    rank=0.571,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=remedy,
    code="for epoch in range(num_epochs):\n    for batch in loader:\n        train_step(batch)\n"
    "    scheduler.step()",
    source="steps of the schedule against updates and batches per epoch; the initial rate tried from here",
    needs=("scheduler", "optimizer"),
)
