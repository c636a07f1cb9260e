"""Lanczos and certificates: they know products with a symmetric operator, not networks."""

from diagkit.spectral.certificates import missed_below, products_needed, smallest_share
from diagkit.spectral.intervals import kato_temple_intervals, residual_intervals
from diagkit.spectral.krylov import KrylovSpace, rounding_bound
from diagkit.spectral.lanczos import SPARE_ROWS, End, Ends, lanczos
from diagkit.spectral.least_squares import NewtonStep, newton_step
from diagkit.spectral.negative_curvature import NegativeCurvature, negative_curvature
from diagkit.spectral.quadrature import (
    Quadrature,
    broadened,
    exact_quadrature,
    stochastic_lanczos_quadrature,
)
from diagkit.spectral.recurrence import Recurrence
from diagkit.spectral.trace import Estimator, Samples, TraceEstimate, diagonal, hutchinson, sample
from diagkit.spectral.tracking import Tracked, follow
from diagkit.spectral.xtrace import XTrace

__all__ = [
    "SPARE_ROWS",
    "End",
    "Ends",
    "Estimator",
    "KrylovSpace",
    "NegativeCurvature",
    "NewtonStep",
    "Quadrature",
    "Recurrence",
    "Samples",
    "TraceEstimate",
    "Tracked",
    "XTrace",
    "broadened",
    "diagonal",
    "exact_quadrature",
    "follow",
    "hutchinson",
    "kato_temple_intervals",
    "lanczos",
    "missed_below",
    "negative_curvature",
    "newton_step",
    "products_needed",
    "residual_intervals",
    "rounding_bound",
    "sample",
    "smallest_share",
    "stochastic_lanczos_quadrature",
]
