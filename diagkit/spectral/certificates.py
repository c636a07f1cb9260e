r"""What may be said about an eigenvalue that was *not* found, before a single product is spent.

Lanczos from a random unit vector b [n] overlooks an eigenvalue only where b has almost no component along its
eigenvector u. For b uniform on the sphere (b.u)^2 follows Beta(1/2, (n-1)/2), so that but for a probability
delta

    |b.u| >= tau,    tau^2 the delta-quantile of that distribution, tau about delta sqrt(pi / (2 n)).   (1)

Then after k products the lowest Ritz value lies above lambda_min by at most eps * (lambda_max - lambda_min),

    eps = tanh^2( arcosh(1 / tau) / (2 k - 1) ).                                                        (2)

*Why.* Let the spectrum fill [0, 1] with lambda_min at 0. A Ritz value above eps means, for every polynomial
p of degree k - 1, that the sum over lambda_i > eps of (lambda_i - eps) p(lambda_i)^2 b_i^2 exceeds
eps p(0)^2 (b.u)^2. With sqrt(t - eps) p(t) the Chebyshev polynomial T_(2k-1) of sqrt((t - eps) / (1 - eps))
the left side is at most (1 - eps)(1 - (b.u)^2) and the right side is
(1 - eps) sinh^2((2k-1) artanh sqrt(eps)) (b.u)^2: a contradiction where |b.u| >= 1 / cosh(...).

This is the argument of Kuczynski and Wozniakowski (1992, SIAM J. Matrix Anal. Appl. 13, theorem 4.2), whose
rounded form 1.648 sqrt(n) exp(-sqrt(eps) (2k - 1)) <= delta is a little weaker. In the form (1) it is *one*
event for all k: looking after every product, and stopping when satisfied, costs no confidence. It needs an
orthogonal basis. :mod:`diagkit.spectral.recurrence` says more once products have been spent.
"""

from __future__ import annotations

import math

from scipy.special import betaincinv

from diagkit.errors import InputError


def smallest_share(size: int, failure_probability: float) -> float:
    """tau: a random unit vector's component along a fixed direction falls short of it with this probability.

    Example
    -------
    >>> round(smallest_share(2, 0.5), 6)  # half of the circle lies within 45 degrees of the other axis
    0.707107
    """
    if not 0 < failure_probability < 1:
        raise InputError(
            f"failure_probability = {failure_probability!r}",
            allowed="a number between 0 and 1",
            write="failure_probability=0.01",
        )
    if size == 1:
        return 1.0
    return float(math.sqrt(betaincinv(0.5, (size - 1) / 2, failure_probability)))


def missed_below(num_products: int, size: int, failure_probability: float = 0.01) -> float:
    """The fraction eps of the spectrum's spread that may have been missed at one end after ``num_products``.

    Example
    -------
    >>> missed_below(5, 5)  # the whole space: nothing is missed
    0.0
    >>> round(missed_below(60, 1210), 4)
    0.0052
    """
    if num_products >= size:
        return 0.0
    if num_products < 1:
        return 1.0
    reach = math.acosh(1 / smallest_share(size, failure_probability))
    return math.tanh(reach / (2 * num_products - 1)) ** 2


def products_needed(eps: float, size: int, failure_probability: float = 0.01) -> int:
    """Products after which at most the fraction ``eps`` of the spectrum's spread is missed at one end.

    The price of the claim "no curvature below -c" for a network of ``size`` parameters is that of
    eps = c / (lambda_max - lambda_min): it grows with 1 / sqrt(eps) and hardly with the size.

    Raises
    ------
    InputError : eps or failure_probability not above 0.

    Example
    -------
    >>> [products_needed(0.01, size) for size in (10_000, 1_000_000, 100_000_000)]
    [49, 61, 72]
    >>> products_needed(0.0001, 1_000_000)
    600
    """
    if not eps > 0:
        raise InputError(f"eps = {eps!r}", allowed="a fraction of the spread, above 0", write="eps=0.01")
    if eps >= 1:
        return 1
    reach = math.acosh(1 / smallest_share(size, failure_probability))
    return min(size, math.ceil((reach / math.atanh(math.sqrt(eps)) + 1) / 2))
