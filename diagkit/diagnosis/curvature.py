"""Curvature may be out of reach: what then stands in its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from diagkit.errors import NonFiniteError, NoSecondDerivativeError

T = TypeVar("T")
# The loss has no second derivative, or none that is finite at this point.
NO_CURVATURE = (NoSecondDerivativeError, NonFiniteError)


def where_measurable(make: Callable[[], T], otherwise: T) -> T:
    """``make()``, or ``otherwise`` where it asks for curvature that there is not.

    Example
    -------
    >>> def sharpness():
    ...     raise NonFiniteError("the Hessian-vector product holds NaN")
    >>> where_measurable(sharpness, 0.0), where_measurable(lambda: 2.0, 0.0)
    (0.0, 2.0)
    """
    try:
        return make()
    except NO_CURVATURE:
        return otherwise
