"""What a diagnosis returns: a verdict, ranked findings, and the ladder of questions behind them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diagkit.diagnosis.loss_curve import LossCurve
from diagkit.diagnosis.trial import Trial
from diagkit.measure import CriticalPoint, Escape, PlaneSlice
from diagkit.result import Result

if TYPE_CHECKING:
    import pandas as pd

    from diagkit.diagnosis.headings import Heading


@dataclass(frozen=True)
class Finding:
    """A judged cause.

    Attributes
    ----------
    cause : id in the catalogue. meaning : one line. verdict : "supported", "refuted" or "undecided".
    certainty : "proven" (mechanically), "tried" (by intervention), "probable" (by statistics), or "".
    statement : the measured answer in words. evidence : Results, each of which plots.
    remedy, code : what to do, in words and as lines to paste. trial : the remedy against doing nothing.
    """

    cause: str
    meaning: str
    verdict: str
    certainty: str
    statement: str
    evidence: tuple[Result, ...]
    remedy: str
    code: str
    trial: Trial | None
    source: str


@dataclass(frozen=True)
class Question:
    """One rung of the ladder. ``asked`` is False where input or time was lacking; ``answer`` says which.

    ``group`` : the heading that it is told under.
    """

    text: str
    cause: str
    answer: str
    asked: bool
    verdict: str
    seconds: float
    group: str = "right"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Report(Result):
    """The answer to "why did my loss stop falling?".

    Attributes
    ----------
    cause : id of the top supported finding, or "healthy" / "undecided".
    headline : one sentence: cause, certainty, what to do.
    findings : ranked, supported ones first. questions : the ladder, in the order asked.
    place : what kind of point this is. surface : the loss around it. escape : the way off, if it is a saddle.
    curve : what the log says, where one was given. high : above this loss it counts as high.
    loss_error : standard error of the loss as that of all training data; 0 where all of them were measured.
    not_seen : what could not be asked, and what would be needed. notes : facts about how it was measured.
    """

    cause: str
    headline: str
    findings: tuple[Finding, ...]
    questions: tuple[Question, ...]
    place: CriticalPoint | None
    surface: PlaneSlice | None
    escape: Escape | None
    not_seen: tuple[str, ...]
    notes: tuple[str, ...]
    loss: float | None
    baseline: float | None
    curve: LossCurve | None = None
    high: float | None = None
    loss_error: float = 0.0

    @property
    def headings(self) -> tuple[Heading, ...]:
        """The ladder as the course notes tell it; those on the path lead to the verdict."""
        from diagkit.diagnosis.headings import headings

        return headings(self)

    @property
    def supported(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.verdict == "supported")

    @property
    def top(self) -> Finding | None:
        """The finding that names the cause, None for "healthy" and "undecided"."""
        return next((finding for finding in self.findings if finding.cause == self.cause), None)

    @property
    def is_well(self) -> bool:
        """Nothing to repair: healthy, converged, still improving."""
        from diagkit.diagnosis.wording import verdict_kind

        return verdict_kind(self) == "well"

    def summary(self) -> dict[str, Any]:
        return {
            "cause": self.cause,
            "loss": self.loss,
            "place": self.place.verdict if self.place else None,
            "supported": len(self.supported),
            "asked": sum(question.asked for question in self.questions),
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per question of the ladder."""
        import pandas as pd

        rows = [
            {
                "question": q.text,
                "answer": q.answer,
                "cause": q.cause,
                "verdict": q.verdict,
                "seconds": round(q.seconds, 2),
            }
            for q in self.questions
        ]
        return pd.DataFrame(rows)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain numbers and text; docs/reading-a-report.md lists the keys."""
        from diagkit.diagnosis.report_json import to_dict

        return to_dict(self)

    def to_json(self, indent: int | None = 2) -> str:
        """:meth:`to_dict` as JSON. What is NaN or infinite is null: JSON has no word for it."""
        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False, allow_nan=False)

    def to_markdown(self) -> str:
        """The report for an issue tracker."""
        from diagkit.diagnosis.report_text import to_markdown

        return to_markdown(self)

    def to_html(self) -> str:
        """The report as one HTML fragment: verdict, pictures, questions; no outside resources."""
        from diagkit.diagnosis.report_html import to_html

        return to_html(self)

    def to_page(self) -> str:
        """:meth:`to_html` as a whole document, to be kept as one file."""
        from diagkit.diagnosis.report_html import to_page

        return to_page(self)

    def print(self) -> None:
        """The report in a terminal."""
        from diagkit.diagnosis.report_text import print_report

        print_report(self)

    def _repr_html_(self) -> str:
        return self.to_html()
