"""A check: one cause, measured, then judged, then put into words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from diagkit.result import Result

if TYPE_CHECKING:
    from diagkit.diagnosis.case import Case
    from diagkit.diagnosis.trial import Trial

Verdict = Literal["supported", "refuted", "undecided"]
Certainty = Literal["proven", "tried", "probable", ""]
Group = Literal["right", "high", "able", "zero", "tiny", "sizeable", "validation", "outlook"]


@dataclass(frozen=True)
class Evidence:
    """What a check measured: numbers to judge by, Results to look at, the trial of the remedy if one ran."""

    numbers: dict[str, Any] = field(default_factory=dict)
    results: tuple[Result, ...] = ()
    trial: Trial | None = None

    def __getitem__(self, name: str) -> Any:
        return self.numbers[name]


@dataclass(frozen=True)
class Judgement:
    """``certainty``: proven (mechanically), tried (by intervention), probable (by statistics)."""

    verdict: Verdict
    certainty: Certainty = ""


SUPPORTED_BY_PROOF = Judgement("supported", "proven")
SUPPORTED_BY_TRIAL = Judgement("supported", "tried")
SUPPORTED_PROBABLY = Judgement("supported", "probable")
REFUTED = Judgement("refuted")
UNDECIDED = Judgement("undecided")


@dataclass(frozen=True)
class Check:
    """One cause of the catalogue.

    Attributes
    ----------
    cause : its stable id. meaning : one line for the reader. question : as the ladder asks it.
    group : the heading of the report that it is told under, see :mod:`diagkit.diagnosis.headings`.
    rung : place in the order of asking, cheap proofs before dear trials.
    rank : place among several supported findings, the cause before its consequences.
    needs : what must be given, out of "optimizer", "history", "scheduler", "train_step"; without it the check
        is not asked.
    measure : Case -> Evidence. judge : Evidence -> Judgement. answer : Evidence, Judgement -> one sentence.
    remedy : Evidence -> what to do. code : lines to paste. source : where the rule comes from.
    outcome : not a fault but a way to be well, such as "converged". dear : costs several trials. Neither is
        asked once a fault explains the stall.
    """

    cause: str
    meaning: str
    question: str
    rung: float
    rank: float
    measure: Callable[[Case], Evidence]
    judge: Callable[[Evidence], Judgement]
    answer: Callable[[Evidence, Judgement], str]
    remedy: Callable[[Evidence], str]
    source: str
    group: Group = "right"  # most checks are mechanical proofs
    code: str = ""
    needs: tuple[str, ...] = ()
    outcome: bool = False
    dear: bool = False
    before_objective: bool = False  # asked before anything else, since it can make measuring impossible
