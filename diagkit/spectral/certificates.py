r"""What may be said about an eigenvalue that was *not* found.

After k products from a random start the probability that the smallest Ritz value overestimates the
smallest eigenvalue by more than eps * (lambda_max - lambda_min) is at most

    1.648 sqrt(n) exp(-sqrt(eps) (2k - 1))

(Kuczynski and Wozniakowski 1992, SIAM J. Matrix Anal. Appl. 13, theorem 4.2). It needs an orthogonal
basis, which full reorthogonalization gives.
"""

from __future__ import annotations

import math


def missed_below(num_products: int, size: int, failure_probability: float = 0.01) -> float:
    """The fraction eps of the spectrum's spread that may have been missed after ``num_products``.

    Example
    -------
    >>> missed_below(5, 5)  # the whole space: nothing is missed
    0.0
    >>> round(missed_below(60, 1210), 4)
    0.0053
    """
    if num_products >= size:
        return 0.0
    if num_products < 1:
        return 1.0
    needed = math.log(1.648 * math.sqrt(size) / failure_probability)
    return min(1.0, (needed / (2 * num_products - 1)) ** 2)


def products_needed(eps: float, size: int, failure_probability: float = 0.01) -> int:
    """Products after which at most the fraction ``eps`` of the spread is missed.

    Example
    -------
    >>> missed_below(products_needed(0.01, 10_000), 10_000) <= 0.01
    True
    """
    needed = math.log(1.648 * math.sqrt(size) / failure_probability)
    return min(size, math.ceil((needed / math.sqrt(eps) + 1) / 2))
