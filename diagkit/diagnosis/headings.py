"""The ladder as the course notes tell it: eight headings, each answered by what was measured below it.

Questions are asked in the order of their price and told in the order of the argument. A heading says what was
measured, and where it leads; the headings that lead to the verdict make the path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from diagkit.diagnosis.sampling import SURE
from diagkit.diagnosis.wording import reasons

if TYPE_CHECKING:
    from diagkit.diagnosis.report import Question, Report

State = Literal["fault", "well", "clear", "open", "unasked"]

TITLES = {
    "right": "Can it be right at all?",
    "high": "Is the training loss high?",
    "able": "Is the network able?",
    "zero": "Gradient zero: minimum or saddle?",
    "tiny": "Gradient tiny: a plateau?",
    "sizeable": "Gradient sizeable, curve flat: oscillation or noise?",
    "validation": "Training loss low, validation loss high?",
    "outlook": "Still falling, or arrived?",
}
OPTIMIZATION = ("able", "zero", "tiny", "sizeable")  # the branch of a loss that is high
# Whose answer speaks for a heading under which no fault is found.
SPEAKER = {
    "able": "model-too-small",
    "zero": "saddle-point",
    "tiny": "gradient-flat",
    "sizeable": "learning-rate-too-large",
    "validation": "overfitting",
}


@dataclass(frozen=True)
class Heading:
    """One step of the argument.

    Attributes
    ----------
    group : its id. title : the question. answer : what was measured, in a sentence.
    state : "fault", "well" (a way to be well is supported), "clear", "open", or "unasked".
    on_path : it lies on the way to the verdict. leads_to : the next heading on that way, or the verdict.
    questions : those asked and not asked below it.
    """

    group: str
    title: str
    answer: str
    state: State
    on_path: bool
    leads_to: str
    questions: tuple[Question, ...]

    @property
    def onward(self) -> str:
        """Where the path goes from here, with a sign; empty off the path."""
        if not self.on_path:
            return ""
        return f"→ {self.leads_to}" if self.leads_to in TITLES.values() else f"verdict: {self.leads_to}"


def headings(report: Report) -> tuple[Heading, ...]:
    """Those under which something was asked or is known, in the order of the notes."""
    below = {group: tuple(q for q in report.questions if q.group == group) for group in TITLES}
    told = [group for group in TITLES if below[group] or (group == "high" and report.loss is not None)]
    way = [group for group in _way(report) if group in told]
    following = dict(zip(way, [*(TITLES[group] for group in way[1:]), report.cause], strict=True))
    return tuple(
        Heading(
            group=group,
            title=TITLES[group],
            answer=_answer(group, below[group], report),
            state=_state(group, below[group], report),
            on_path=group in way,
            leads_to=following.get(group, ""),
            questions=below[group],
        )
        for group in told
    )


def _way(report: Report) -> list[str]:
    """From the first heading to the one that holds the verdict; to the last where no fault was found."""
    goal = next((q.group for q in report.questions if q.cause == report.cause), "outlook")
    start, end = ["right", "high"], ["validation", "outlook"]
    if _is_high(report) is False:
        # A loss that is low and could be lower: straight to what holds it there.
        way = [*start, goal] if goal in OPTIMIZATION else [*start, *end]
    else:
        way = [*start, *OPTIMIZATION, *end]
    return way[: way.index(goal) + 1]


def _is_high(report: Report) -> bool | None:
    """None where it is not known, or the error of the loss does not tell."""
    if (
        report.loss is None
        or report.high is None
        or abs(report.loss - report.high) < SURE * report.loss_error
    ):
        return None
    return report.loss > report.high


def _state(group: str, questions: Sequence[Question], report: Report) -> State:
    verdicts = [q.verdict for q in questions if q.asked]
    if "supported" in verdicts:
        return "well" if group == "outlook" else "fault"
    if "undecided" in verdicts:
        return "open"
    known = group == "high" and report.loss is not None
    return "clear" if verdicts or known else "unasked"


def _answer(group: str, questions: Sequence[Question], report: Report) -> str:
    """What was measured for the heading, then the answer that decides it, then what is open."""
    measured = [_loss(report)] if group == "high" and report.loss is not None else []
    found = sorted((q for q in questions if q.verdict == "supported"), key=lambda q: _place(q, report))
    if found:
        also = [f"Also: {', '.join(q.cause for q in found[1:])}."] if found[1:] else []
        return " ".join([*measured, f"{found[0].text} {found[0].answer}", *also])
    parts = measured + _speaker(group, questions)
    others = [q for q in questions if q.verdict == "refuted" and q.cause != SPEAKER.get(group)]
    if group == "outlook":
        parts += [q.answer for q in others]
    elif others and not measured:
        start = "Yes, as far as can be seen: " if group == "right" else ""
        further = " further" if parts else ""
        parts.append(f"{start}{len(others)}{further} question{'s' * (len(others) > 1)}, no fault found.")
    doubtful = [q.text for q in questions if q.verdict == "undecided" and q.cause != SPEAKER.get(group)]
    parts += [f"Open: {' '.join(doubtful)}"] if doubtful else []
    return " ".join(parts) or f"Not asked: {next(iter(reasons(questions)))}."


def _speaker(group: str, questions: Sequence[Question]) -> list[str]:
    """What the question that speaks for the heading says, or why it was not asked although others were."""
    speaker = next((q for q in questions if q.cause == SPEAKER.get(group)), None)
    if speaker is None or not any(q.asked for q in questions):
        return []
    if speaker.asked:
        return [speaker.answer]
    return [f"{speaker.text} {speaker.answer[:1].upper()}{speaker.answer[1:]}."]


def _place(question: Question, report: Report) -> int:
    """Among the ranked findings."""
    return next((n for n, f in enumerate(report.findings) if f.cause == question.cause), len(report.findings))


def _loss(report: Report) -> str:
    """The loss against that of knowing nothing, or against the start of the log."""
    validation = report.curve is not None and report.curve.judged == "val_loss" and report.baseline is None
    error = f" ± {report.loss_error:.2g}" if report.loss_error else ""
    loss = f"{'Validation' if validation else 'Training'} loss {report.loss:.3g}{error}"
    if report.high is None:
        return f"{loss}; that of a constant prediction is not known."
    against = (
        f"constant prediction {report.baseline:.3g}"
        if report.baseline is not None
        else f"at the start of the log {2 * report.high:.3g}"
    )
    high = _is_high(report)
    if high is None:
        return f"{loss}, {against}: at the border, within the error."
    if high:
        return f"{loss}, {against}: yes, high."
    # The verdict lies on the other branch: a loss that is low and could be lower still.
    beyond = ", but it could be lower" if _way(report)[-1] in OPTIMIZATION else ""
    return f"{loss}, {against}: no, not high{beyond}."
