"""The ladder of questions: each check is asked in its turn, and what is supported is ranked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from diagkit.diagnosis.check import Check, Judgement
from diagkit.diagnosis.report import Finding, Question
from diagkit.work import interrupted, progress

NEEDS = {
    "optimizer": "optimizer=... is needed to judge the learning rate",
    "history": "history=... is needed to judge the curve",
    "scheduler": "scheduler=... is needed to judge the schedule",
    "train_step": "train_step=... is needed to see what your own loop does",
    "val_data": "val_data=... is needed to compare with",
}


def climb(case: Any, checks: Sequence[Check]) -> tuple[list[tuple[Check, Finding]], list[Question]]:
    """Ask each check of a case, in this order, unless something is missing or has been answered before."""
    found: list[tuple[Check, Finding]] = []
    questions: list[Question] = []
    blocked = ""
    with progress("questions", len(checks)) as advance:
        for check in checks:
            missing = [need for need in check.needs if getattr(case, need) is None]
            reason = blocked or (
                "not asked: the time was up"
                if interrupted()
                else f"not asked: {NEEDS[missing[0]]}"
                if missing
                else ""
            )
            faults = [finding.cause for _, finding in found if finding.verdict == "supported"]
            if (check.outcome or check.dear) and faults and not reason:
                reason = f"not asked: {faults[0]} explains the stall"
            if reason:
                questions.append(Question(check.question, check.cause, reason, False, "", 0.0))
            else:
                started = time.perf_counter()
                finding = _ask(check, case)
                seconds = time.perf_counter() - started
                found.append((check, finding))
                questions.append(
                    Question(check.question, check.cause, finding.statement, True, finding.verdict, seconds)
                )
                if check.before_objective and finding.verdict == "supported":
                    blocked = f"not asked: {check.cause} comes first"
            advance(1)
    return found, questions


def _ask(check: Check, case: Any) -> Finding:
    evidence = check.measure(case)
    judgement: Judgement = check.judge(evidence)
    supported = judgement.verdict == "supported"
    return Finding(
        cause=check.cause,
        meaning=check.meaning,
        verdict=judgement.verdict,
        certainty=judgement.certainty,
        statement=check.answer(evidence, judgement),
        evidence=evidence.results,
        remedy=check.remedy(evidence) if supported else "",
        code=check.code if supported else "",
        trial=evidence.trial,
        source=check.source,
    )


def rank(found: Sequence[tuple[Check, Finding]]) -> tuple[Finding, ...]:
    """Supported findings first, each group in the order of cause before consequence."""
    order = {"supported": 0, "undecided": 1, "refuted": 2}
    ranked = sorted(found, key=lambda pair: (order[pair[1].verdict], pair[0].rank))
    return tuple(finding for _, finding in ranked)


def top_supported(findings: Sequence[Finding]) -> str | None:
    """Cause of the first supported finding among ranked ones, None where there is none."""
    return next((finding.cause for finding in findings if finding.verdict == "supported"), None)
