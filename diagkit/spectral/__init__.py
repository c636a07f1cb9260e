"""Lanczos and certificates: they know products with a symmetric operator, not networks."""

from diagkit.spectral.certificates import missed_below, products_needed
from diagkit.spectral.krylov import rounding_bound
from diagkit.spectral.lanczos import End, Ends, lanczos
from diagkit.spectral.least_squares import NewtonStep, newton_step

__all__ = [
    "End",
    "Ends",
    "NewtonStep",
    "lanczos",
    "missed_below",
    "newton_step",
    "products_needed",
    "rounding_bound",
]
