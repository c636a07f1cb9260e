"""Reproduced, not reproduced, or inconclusive: a claim against an effect and its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from diagkit.errors import InputError
from diagkit.experiments.paired import ENOUGH_PAIRS, PairedDifference
from diagkit.experiments.success_rates import ENOUGH_RUNS, RateDifference
from diagkit.objective import check_positive
from diagkit.result import Result, show_number

EXPECTS = ("increase", "decrease", "no difference")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Verdict(Result):
    """What became of a claim.

    Attributes
    ----------
    claim : in words. expects : the direction that it names. smallest : the smallest effect that matters.
    verdict : "reproduced", "not reproduced" or "inconclusive".
    value, interval : the effect and its 95 % interval. unit : of both.
    count : pairs, or runs in the smaller arm. explanation : the numbers and the rule, in words.
    """

    claim: str
    verdict: Literal["reproduced", "not reproduced", "inconclusive"]
    expects: str
    smallest: float
    value: float
    interval: tuple[float, float]
    unit: str
    count: int
    explanation: str

    def summary(self) -> dict[str, Any]:
        return {
            "claim": self.claim,
            "verdict": self.verdict,
            "value": self.value,
            "interval": list(self.interval),
            "count": self.count,
            "explanation": self.explanation,
        }

    def __repr__(self) -> str:
        low, high = (show_number(x, 3) for x in self.interval)
        numbers = f"{show_number(self.value, 3)} [{low}, {high}], n = {self.count}"
        return f"Verdict({self.verdict}: {self.claim}; {numbers})"


def judge(
    claim: str,
    effect: PairedDifference | RateDifference,
    *,
    expects: str,
    smallest: float = 0.0,
) -> Verdict:
    r"""Judge a claim by an effect d (second less first), where d counts only from ``smallest`` = m on.

    ================  =============================  =========================================================
    expects           reproduced                     not reproduced
    ================  =============================  =========================================================
    "increase"        95 % interval above m          95 % interval below 0, or 90 % interval below m > 0
    "decrease"        the same for -d                the same for -d
    "no difference"   90 % interval within (-m, m)   95 % interval outside of [-m, m]
    ================  =============================  =========================================================

    Everything else is inconclusive, and so are fewer than 8 pairs, fewer than 20 runs in an arm, and pairs
    without a number (a run diverged). A 90 % interval within (-m, m) is the equivalence test TOST at 5 %:
    where no difference is claimed, "not significant" proves nothing.

    Raises
    ------
    InputError : ``expects`` or ``smallest`` that cannot be meant; "no difference" without ``smallest``.

    Example
    -------
    >>> from diagkit.experiments import paired_difference
    >>> small = [0.031, 0.033, 0.030, 0.035, 0.029, 0.032, 0.034, 0.031]
    >>> large = [0.392, 0.401, 0.399, 0.405, 0.388, 0.398, 0.402, 0.395]
    >>> difference = paired_difference(small, large)
    >>> judge("a larger batch ends at a larger loss", difference, expects="increase")
    Verdict(reproduced: a larger batch ends at a larger loss; 0.366 [0.362, 0.369], n = 8)
    """
    if expects not in EXPECTS:
        raise InputError(
            f"expects={expects!r}", allowed=" or ".join(map(repr, EXPECTS)), write="expects='increase'"
        )
    if smallest != 0.0 or expects == "no difference":
        check_positive(
            "smallest", smallest, write="the smallest effect that matters, in the unit of the effect"
        )
    verdict, reason = _decide(effect, expects, smallest)
    low, high = effect.interval
    unit = f" {effect.unit}" if effect.unit else ""
    numbers = (
        f"{show_number(effect.value, 3)}{unit}, 95 % interval [{show_number(low, 3)}, {show_number(high, 3)}]"
    )
    return Verdict(
        claim=claim,
        verdict=verdict,
        expects=expects,
        smallest=float(smallest),
        value=effect.value,
        interval=effect.interval,
        unit=effect.unit,
        count=effect.count,
        explanation=f"{numbers} from {effect.counted}: {reason}",
    )


def _decide(effect: Any, expects: str, smallest: float) -> tuple[Any, str]:
    """The verdict, and the rule that gave it."""
    if effect.num_undefined:
        return "inconclusive", f"pairs that did not end in a number: {effect.num_undefined}"
    if not effect.is_enough:
        return "inconclusive", f"too few (at least {ENOUGH_PAIRS} pairs, or {ENOUGH_RUNS} runs in each arm)"
    low, high = effect.limits(0.95)
    inner_low, inner_high = effect.limits(0.90)
    if expects == "no difference":
        if -smallest < inner_low and inner_high < smallest:
            return (
                "reproduced",
                f"no difference as large as {show_number(smallest)} (90 % interval, TOST at 5 %)",
            )
        if low > smallest or high < -smallest:
            return "not reproduced", f"a difference of more than {show_number(smallest)}"
        return "inconclusive", f"a difference of {show_number(smallest)} is neither shown nor excluded"
    if expects == "decrease":
        low, high, inner_high = -high, -low, -inner_low
    change = "an increase" if expects == "increase" else "a decrease"
    if low > smallest:
        more = f" of more than {show_number(smallest)}" if smallest else ""
        return "reproduced", f"the interval shows {change}{more}"
    if high < 0:
        return "not reproduced", "the interval shows the opposite"
    if smallest and inner_high < smallest:
        return "not reproduced", f"no {expects} as large as {show_number(smallest)} (90 % interval)"
    return "inconclusive", f"the interval neither shows nor excludes {change}"
