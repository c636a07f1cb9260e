"""The ladder of questions: each check is asked in its turn, and what is supported is ranked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from diagkit.diagnosis.check import Check, Judgement
from diagkit.diagnosis.curvature import NO_CURVATURE
from diagkit.diagnosis.report import Finding, Question
from diagkit.diagnosis.wording import UNASKED
from diagkit.errors import NoSecondDerivativeError
from diagkit.work import StoppedError, interrupted, progress

TIME_UP = "the time was up"
NEEDS = {
    "optimizer": "optimizer=... is needed to judge the learning rate",
    "history": "history=... is needed to judge the curve",
    "scheduler": "scheduler=... is needed to judge the schedule",
    "train_step": "train_step=... is needed to see what your own loop does",
    "val_data": "val_data=... is needed to compare with",
}


@dataclass
class Ladder:
    """What was asked of a case, and what was found."""

    found: list[tuple[Check, Finding]] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    blocked: str = ""  # cause that makes measuring impossible

    @property
    def faults(self) -> list[str]:
        return [finding.cause for _, finding in self.found if finding.verdict == "supported"]

    def skip(self, check: Check, reason: str) -> None:
        self._answer(check, f"{UNASKED}{reason}", asked=False)

    def enter(self, check: Check, finding: Finding, seconds: float) -> None:
        self.found.append((check, finding))
        self._answer(check, finding.statement, True, finding.verdict, seconds)
        if check.before_objective and finding.verdict == "supported":
            self.blocked = check.cause

    def _answer(
        self, check: Check, answer: str, asked: bool, verdict: str = "", seconds: float = 0.0
    ) -> None:
        self.questions.append(
            Question(check.question, check.cause, answer, asked, verdict, seconds, check.group)
        )


def climb(case: Any, checks: Sequence[Check]) -> Ladder:
    """Ask each check of a case, in this order, unless something is missing or has been answered before."""
    ladder = Ladder()
    with progress("questions", len(checks)) as advance:
        for check in checks:
            reason = _reason_not_to_ask(check, case, ladder)
            if reason:
                ladder.skip(check, reason)
            else:
                started = time.perf_counter()
                try:
                    finding = _ask(check, case)
                except NO_CURVATURE as error:
                    # What else a check may raise is a mistake of its own, and surfaces.
                    ladder.skip(check, _why_no_curvature(error))
                except StoppedError:
                    ladder.skip(check, TIME_UP)
                else:
                    ladder.enter(check, finding, time.perf_counter() - started)
            advance(1)
    return ladder


def _reason_not_to_ask(check: Check, case: Any, ladder: Ladder) -> str:
    missing = [need for need in check.needs if getattr(case, need) is None]
    if ladder.blocked:
        return f"{ladder.blocked} comes first"
    if interrupted():
        return TIME_UP
    if missing:
        return NEEDS[missing[0]]
    if (check.outcome or check.dear) and ladder.faults:
        return f"{ladder.faults[0]} explains the stall"
    return ""


def _why_no_curvature(error: Exception) -> str:
    """In one line: what is in the way, and what to write to have the answer."""
    if isinstance(error, NoSecondDerivativeError):
        return f"{error.what} has no second derivative; to have it asked write {error.instead}"
    return str(error)


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
