"""Do large batches find sharp minima that generalize worse? Claims, and their verdicts, arm by arm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from diagkit.experiments.batch_size.arms import EQUIVALENT
from diagkit.experiments.paired import PairedDifference, paired_difference
from diagkit.experiments.verdict import Verdict, judge

QUESTION = "Do large batches find sharp minima that generalize worse?"
LOG = "ln ratio"  # unit: the logarithm of second over first
POINTS = "fraction of test examples"


@dataclass(frozen=True)
class Judged:
    """A claim about one arm, one large batch size against the smallest, at one point of the runs.

    Attributes
    ----------
    at : "end", or "matched" for the same training loss. measure : column that was compared.
    """

    arm: str
    batch_size: int
    at: str
    measure: str
    verdict: Verdict


@dataclass(frozen=True)
class Answer:
    """The question, answered for one arm and the largest batch size.

    Attributes
    ----------
    verdict : at the end of the runs, "reproduced" where both claims are, "not reproduced" where one of them
        is not, otherwise "inconclusive". at_same_loss : the same where the runs have the same training loss:
        only an effect that stays there is one of the batch size, and not of training less far.
    explanation : in words, with the training loss at the end.
    """

    arm: str
    batch_size: int
    verdict: str
    at_same_loss: str
    explanation: str


@dataclass(frozen=True)
class Margins:
    """The smallest effects that matter.

    Attributes
    ----------
    sharpness, loss : ratios. accuracy : difference, as a fraction of the test examples.
    """

    sharpness: float
    loss: float
    accuracy: float


def judge_arms(
    frame: pd.DataFrame, arms: tuple[str, ...], batch_sizes: tuple[int, ...], margins: Margins
) -> tuple[Judged, ...]:
    """All claims on all arms, from the paired seeds of ``frame``.

    Sharpness and losses are compared by ratio: ln(second / first), paired. Accuracy by difference.
    """
    found = []
    for arm in arms:
        for batch_size in batch_sizes[1:]:
            for at in ("end", "matched"):
                for claim in _claims(frame, arm, at):
                    both = _pairs(frame, arm, (batch_sizes[0], batch_size), claim.column)
                    if both is None:
                        continue
                    first, second = both
                    effect, smallest = _effect(claim.measure, first, second, margins)
                    words = claim.words.format(batch=batch_size, than=batch_sizes[0], at=AT[at])
                    verdict = judge(words, effect, expects=claim.expects, smallest=smallest)
                    found.append(Judged(arm, batch_size, at, claim.measure, verdict))
    return tuple(found)


def answer(judged: tuple[Judged, ...], arm: str, batch_size: int) -> Answer | None:
    """The answer for one arm; None without test data or sharpness."""
    here = {
        (j.at, j.measure.replace("accuracy", "loss"), j.verdict.expects != "no difference"): j.verdict
        for j in judged
        if (j.arm, j.batch_size) == (arm, batch_size)
    }
    pairs = [[here.get((at, name, True)) for name in ("lambda_max", "test_loss")] for at in AT]
    less_far = here.get(("end", "train_loss", True))
    (sharper, worse), _ = pairs
    if sharper is None or worse is None or less_far is None:
        return None
    at_end, at_same_loss = (_both([v.verdict for v in pair if v is not None]) for pair in pairs)
    words = [
        f"lambda_max is {_times(sharper)} that of the small batch",
        f"the test accuracy changes by {_percent(worse)}"
        if worse.unit == POINTS
        else f"the test loss is {_times(worse)} as large",
        f"the training loss at the end is {_times(less_far)} as large",
    ]
    if at_end == "reproduced" and less_far.verdict == "reproduced":
        words.append(f"the large batch was trained less far; at the same training loss: {at_same_loss}")
    return Answer(arm, batch_size, at_end, at_same_loss, "; ".join(words))


def _both(verdicts: list[str]) -> str:
    """The verdict on two claims together."""
    if "not reproduced" in verdicts:
        return "not reproduced"
    return "reproduced" if verdicts == ["reproduced", "reproduced"] else "inconclusive"


AT = {"end": "at the end", "matched": "at the same training loss"}
KINDS = {  # measure -> what its smallest effect is called
    "train_loss": "loss",
    "test_loss": "loss",
    "test_accuracy": "accuracy",
    "lambda_max": "sharpness",
    "keskar": "sharpness",
}


def _effect(
    measure: str, first: np.ndarray, second: np.ndarray, margins: Margins
) -> tuple[PairedDifference, float]:
    """The paired difference, of logarithms except for accuracies, and the smallest that matters."""
    smallest = float(getattr(margins, KINDS[measure]))
    if KINDS[measure] == "accuracy":
        return paired_difference(first, second, unit=POINTS), smallest
    with np.errstate(divide="ignore", invalid="ignore"):
        return paired_difference(np.log(first), np.log(second), unit=LOG), float(np.log(smallest))


@dataclass(frozen=True)
class _Claim:
    words: str
    measure: str
    column: str
    expects: str


def _claims(frame: pd.DataFrame, arm: str, at: str) -> list[_Claim]:
    """What is claimed here, of what was measured."""
    prefix = "matched_" if at == "matched" else ""
    tested = next((name for name in ("test_accuracy", "test_loss") if _has(frame, prefix + name)), None)
    claims = []
    if at == "end":
        text = "B = {batch} ends at a larger training loss than {than}"
        claims.append(_Claim(text, "train_loss", "train_loss", "increase"))
    for name, word in (("lambda_max", "lambda_max"), ("keskar", "Keskar's measure")):
        if not _has(frame, name):
            continue  # it was not asked for
        text = f"B = {{batch}} is sharper ({word}) than {{than}} {{at}}"
        claims.append(_Claim(text, name, prefix + name, "increase"))
    if tested:
        lower = tested == "test_accuracy"
        text = f"B = {{batch}} has a {'lower' if lower else 'larger'} {_plain(tested)} than {{than}} {{at}}"
        claims.append(_Claim(text, tested, prefix + tested, "decrease" if lower else "increase"))
    if at == "end" and arm in EQUIVALENT:
        for name in (*(["lambda_max"] if _has(frame, "lambda_max") else []), *([tested] if tested else [])):
            text = f"B = {{batch}} and {{than}} have the same {_plain(name)} {{at}}"
            claims.append(_Claim(text, name, name, "no difference"))
    return claims


def _has(frame: pd.DataFrame, column: str) -> bool:
    return column in frame and bool(frame[column].notna().any())


def _pairs(
    frame: pd.DataFrame, arm: str, batch_sizes: tuple[int, int], column: str
) -> tuple[np.ndarray, np.ndarray] | None:
    """Values of the seeds that both batch sizes have; None without any."""
    if column not in frame:
        return None
    rows = frame[(frame["arm"] == arm) & frame["batch_size"].isin(batch_sizes)]
    table = rows.pivot(index="seed", columns="batch_size", values=column)
    if any(b not in table for b in batch_sizes):
        return None
    done = rows.groupby("seed")["batch_size"].nunique()
    table = table.loc[done[done == 2].index]
    return (
        (table[batch_sizes[0]].to_numpy(float), table[batch_sizes[1]].to_numpy(float)) if len(table) else None
    )


def _plain(name: str) -> str:
    return name if name == "lambda_max" else name.replace("_", " ")


def _times(verdict: Verdict) -> str:
    value, low, high = np.exp([verdict.value, *verdict.interval])
    return f"{value:.3g} [{low:.3g}, {high:.3g}] times"


def _percent(verdict: Verdict) -> str:
    value, low, high = 100 * np.array([verdict.value, *verdict.interval])
    return f"{value:+.2g} [{low:+.2g}, {high:+.2g}] percentage points"
