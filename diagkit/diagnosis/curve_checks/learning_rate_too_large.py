"""The loss climbs and stays up, or swings by itself: what too large steps look like in a log."""

from __future__ import annotations

from typing import Any

from diagkit.diagnosis.check import REFUTED, SUPPORTED_PROBABLY, Check, Evidence, Judgement


def measure(case: Any) -> Evidence:
    return Evidence({"rise": case.curve.rise, "swing": case.curve.swing}, (case.curve,))


def judge(evidence: Evidence) -> Judgement:
    return SUPPORTED_PROBABLY if evidence["rise"] or evidence["swing"] else REFUTED


def answer(evidence: Evidence, judgement: Judgement) -> str:
    found, swing = evidence["rise"], evidence["swing"]
    if found is not None:
        how = "jumps" if found.sudden else "climbs"
        beyond = ", above where it started" if found.beyond_start else ""
        return (
            f"Probably: from step {found.step} on the loss {how} from {found.before:.4g} and ends at "
            f"{found.after:.4g}{beyond}. Bad data from that step on would look the same."
        )
    if swing is not None:
        return (
            f"Probably: over the last half it goes up and down every {swing.period:.3g} logged entries, by "
            f"{swing.amplitude:.3g} each way. Batches in one fixed order would look the same if that is an "
            "epoch."
        )
    return "Nothing shows it: no rise that stayed and no regular swing beyond the noise."


CHECK = Check(
    cause="learning-rate-too-large",
    meaning="the loss climbs or swings as it does when steps are too large",
    question="Does the loss climb, or swing by itself?",
    group="sizeable",
    rung=3,
    rank=5,
    measure=measure,
    judge=judge,
    answer=answer,
    remedy=lambda evidence: (
        "Go back to a checkpoint from before the rise and lower the learning rate to a tenth."
        if evidence["rise"]
        else "Lower the learning rate to a tenth."
    ),
    code="for group in optimizer.param_groups:\n    group['lr'] *= 0.1",
    source="level against its lowest by six standard errors; Fisher's test for a period",
    needs=("history",),
)
