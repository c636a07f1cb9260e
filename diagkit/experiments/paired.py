"""One setting against another, seed by seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from diagkit.errors import InputError
from diagkit.experiments.intervals import Interval, student_interval
from diagkit.objective import check_positive
from diagkit.result import Result

ENOUGH_PAIRS = 8  # 8 of 8 differences of one sign: p = 1/128 two-sided


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class PairedDifference(Result):
    """Second less first, over pairs that share a seed.

    Attributes
    ----------
    first, second : values of the pairs [n]. unit : of both.
    differences : second - first [n]; NaN or Inf where a run did not end in a number.
    value : mean of the finite differences, sem : its standard error. NaN with fewer than two.
    interval : its 95 % interval. sign_p : two-sided p-value of the sign test.
    """

    first: np.ndarray
    second: np.ndarray
    differences: np.ndarray
    value: float
    sem: float
    interval: tuple[float, float]
    sign_p: float
    unit: str
    method: Interval

    @property
    def count(self) -> int:
        """Pairs with a finite difference."""
        return int(np.isfinite(self.differences).sum())

    @property
    def num_undefined(self) -> int:
        """Pairs with a run that did not end in a finite number: in no mean, and in the sign test if Inf."""
        return len(self.differences) - self.count

    @property
    def num_positive(self) -> int:
        """Pairs in which the second is larger."""
        return int((self.differences > 0).sum())

    @property
    def is_enough(self) -> bool:
        """At least eight pairs: a claim is judged by no fewer."""
        return self.count >= ENOUGH_PAIRS

    @property
    def counted(self) -> str:
        """What the numbers rest on, in words."""
        decided = int((self.differences != 0).sum() - np.isnan(self.differences).sum())
        signs = f"{self.num_positive} of {decided} differences positive, sign test p = {self.sign_p:.2g}"
        return f"{self.count} paired seeds ({signs})"

    def limits(self, level: float) -> tuple[float, float]:
        """The interval at another level; NaN with fewer than two finite differences."""
        finite = self.differences[np.isfinite(self.differences)]
        return self.method(finite, level) if finite.size > 1 else (float("nan"), float("nan"))

    def equivalence_p(self, margin: float) -> float:
        r"""p-value of |mean difference| >= ``margin``: the larger of two one-sided t-tests (TOST).

        p < 0.05 just where Student's 90 % interval lies within (-margin, margin) (Schuirmann 1987).

        Raises
        ------
        InputError : a margin that is not positive.
        """
        check_positive("margin", margin)
        if self.count < 2:
            return float("nan")
        if self.sem == 0:
            return float(abs(self.value) >= margin)
        t = (margin - abs(self.value)) / self.sem
        return float(stats.t.sf(t, self.count - 1))

    def summary(self) -> dict[str, Any]:
        facts = {
            "value": self.value,
            "interval": list(self.interval),
            "pairs": self.count,
            "sign_p": self.sign_p,
        }
        return facts | ({"undefined": self.num_undefined} if self.num_undefined else {})


def paired_difference(
    first: Any, second: Any, *, unit: str = "", interval: Interval = student_interval
) -> PairedDifference:
    r"""Mean of :math:`d_i = b_i - a_i` over pairs i that share a seed, with an interval and a sign test.

    What a seed does to both (initialization, data order) drops out of the differences. The sign test asks how
    often at least as many of the n differences other than 0 have one sign if both signs are equally likely:
    with 8 of 8 two-sided p = 2^-7 = 0.0078 (one-sided 0.0039).

    Parameters
    ----------
    first, second : a and b [n], the same seeds in the same order. NaN and Inf may be among them.
    interval : how the interval is found, :func:`student_interval` or :func:`bootstrap_t_interval`.

    Raises
    ------
    InputError : different lengths, nothing to compare.

    Example
    -------
    >>> a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    >>> difference = paired_difference(a, [x + 0.5 + 0.01 * x for x in a])
    >>> difference
    PairedDifference(value=0.545, interval=[0.5245, 0.5655], pairs=8, sign_p=0.007812)
    >>> difference.equivalence_p(1.0) < 0.05  # no effect as large as 1
    True
    """
    a, b = (np.asarray(x, dtype=float).copy() for x in (first, second))
    if a.ndim != 1 or a.shape != b.shape or not a.size:
        raise InputError(f"values of shape {a.shape} and {b.shape}", allowed="one number per seed in both")
    with np.errstate(invalid="ignore"):  # Inf - Inf
        differences = b - a
    finite = differences[np.isfinite(differences)]
    enough = finite.size > 1
    positive, negative = int((differences > 0).sum()), int((differences < 0).sum())
    signs = stats.binomtest(positive, positive + negative).pvalue if positive + negative else 1.0
    return PairedDifference(
        first=a,
        second=b,
        differences=differences,
        value=float(finite.mean()) if enough else float("nan"),
        sem=float(finite.std(ddof=1) / np.sqrt(finite.size)) if enough else float("nan"),
        interval=interval(finite, 0.95) if enough else (float("nan"), float("nan")),
        sign_p=float(signs),
        unit=unit,
        method=interval,
    )
