"""Synthetic surfaces [51, 51] over [-1, 1]^2: smooth ones of many scales, and those that splines dislike."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.surface.cases import RESOLUTION

Family = Callable[[np.random.Generator], np.ndarray]

AXIS = np.linspace(-1.0, 1.0, RESOLUTION)
X, Y = np.meshgrid(AXIS, AXIS, indexing="ij")
SPACING = AXIS[1] - AXIS[0]
WAVES = 200
LOWEST = 0.1  # a field up to 1.1 is drawn on a linear scale


def gaussian_field(rng: np.random.Generator, length: float) -> np.ndarray:
    """A stationary field with covariance exp(-r^2 / (2 length^2)), by random waves, from 0.1 to 1.1."""
    frequency = rng.normal(size=(WAVES, 2)) / length
    phase, height = rng.uniform(0, 2 * np.pi, WAVES), rng.normal(size=WAVES)
    waves = np.cos(frequency[:, 0, None, None] * X + frequency[:, 1, None, None] * Y + phase[:, None, None])
    field = np.tensordot(height, waves, axes=1)
    return LOWEST + (field - field.min()) / (field.max() - field.min())


def down_to_zero(rng: np.random.Generator, length: float) -> np.ndarray:
    """The same, less its lowest value: logarithmic pictures of minima where the loss is all but 0."""
    lowest = 10 ** -rng.uniform(2, 5)
    return gaussian_field(rng, length) - LOWEST + lowest


def exponential(rng: np.random.Generator, length: float) -> np.ndarray:
    """Losses over two to five decades, smooth on a logarithmic scale."""
    return 10.0 ** (rng.uniform(2, 5) * (gaussian_field(rng, length) - LOWEST))


def turned(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates along and across a random direction, with a random offset."""
    angle = rng.uniform(0, np.pi)
    u, v = np.cos(angle) * X + np.sin(angle) * Y, np.cos(angle) * Y - np.sin(angle) * X
    return u + rng.uniform(-0.5, 0.5), v + rng.uniform(-0.5, 0.5)


def bowl(rng: np.random.Generator) -> np.ndarray:
    """A quadratic of condition 1 to 1000 with a quartic on top."""
    u, v = turned(rng)
    return u**2 + v**2 * 10 ** -rng.uniform(0, 3) + rng.uniform(0, 0.5) * (u**2 + v**2) ** 2


def curved_valley(rng: np.random.Generator) -> np.ndarray:
    """Rosenbrock's: flat along a parabola, steep across."""
    u, v = turned(rng)
    return 10 ** rng.uniform(0, 2) * (v - rng.uniform(0.5, 1.5) * u**2) ** 2 + (u - 0.5) ** 2


def trench(rng: np.random.Generator, cells: float) -> np.ndarray:
    """A straight trench across a smooth field, of a Gaussian cross-section with a width of so many cells."""
    _, v = turned(rng)
    depth = rng.uniform(0.3, 1.0)
    return 1.0 + gaussian_field(rng, 1.5) - depth * np.exp(-0.5 * (v / (cells * SPACING)) ** 2)


def kinks(rng: np.random.Generator) -> np.ndarray:
    """Smooth, with six lines along which the slope jumps."""
    field = 2.0 + gaussian_field(rng, 1.5)
    for _ in range(6):
        field = field + rng.uniform(-0.4, 0.4) * np.maximum(turned(rng)[0], 0.0)
    return field


def step(rng: np.random.Generator) -> np.ndarray:
    """Smooth, with a jump along a straight line."""
    return gaussian_field(rng, 1.5) + rng.uniform(0.1, 1.0) * (turned(rng)[0] > 0)


def plateaus(rng: np.random.Generator) -> np.ndarray:
    """A smooth field that saturates: flat regions with steep slopes between."""
    return np.tanh(rng.uniform(3, 15) * (gaussian_field(rng, 0.7) - LOWEST - 0.5))


def noisy(rng: np.random.Generator, share: float) -> np.ndarray:
    field = 1.0 + gaussian_field(rng, 1.0)
    return field + share * rng.normal(size=field.shape)


def not_finite_beyond(rng: np.random.Generator) -> np.ndarray:
    """NaN or Inf where a smooth field is high: up to a third of the picture, in one piece or several."""
    field, border = gaussian_field(rng, 1.0), gaussian_field(rng, 0.8)
    value = rng.choice([np.nan, np.inf])
    return np.where(border > np.quantile(border, rng.uniform(0.67, 0.95)), value, field)


def not_finite_disc(rng: np.random.Generator, cells: float) -> np.ndarray:
    """NaN within a disc with a radius of so many cells, anywhere on a smooth field."""
    x, y = rng.uniform(-1, 1, 2)
    inside = np.hypot(X - x, Y - y) <= cells * SPACING
    return np.where(inside, np.nan, gaussian_field(rng, 1.0))


def pole(rng: np.random.Generator) -> np.ndarray:
    """1 / r^2 above a smooth field: a peak, Inf at its top where that is a cell."""
    x, y = rng.choice(AXIS, 2)
    with np.errstate(divide="ignore"):
        return 0.01 / ((X - x) ** 2 + (Y - y) ** 2) + gaussian_field(rng, 1.0)


def dent(rng: np.random.Generator, cells: float) -> np.ndarray:
    """A smooth field with a dent with a Gaussian width of so many cells, half as deep as the range."""
    x, y = rng.uniform(-1, 1, 2)
    r = np.hypot(X - x, Y - y)
    return 1.0 + gaussian_field(rng, 1.5) - 0.5 * np.exp(-0.5 * (r / (cells * SPACING)) ** 2)


FAMILIES: dict[str, Family] = {
    **{f"Gaussian field, length {r:g}": partial(gaussian_field, length=r) for r in (2, 1, 0.5, 0.25, 0.1)},
    **{f"field down to 0, length {r:g}": partial(down_to_zero, length=r) for r in (2, 1, 0.5)},
    **{f"exp of a field, length {r:g}": partial(exponential, length=r) for r in (2, 1, 0.5)},
    "bowls down to 0": bowl,
    "curved valleys down to 0": curved_valley,
    **{f"trench, {w:g} cells wide": partial(trench, cells=w) for w in (6, 3, 1)},
    "kinks": kinks,
    "step": step,
    "plateaus": plateaus,
    **{f"noise of {share:.1%} of the range": partial(noisy, share=share) for share in (0.002, 0.01, 0.05)},
    "not finite beyond a curve": not_finite_beyond,
    **{f"NaN in a disc, radius {r:g} cells": partial(not_finite_disc, cells=r) for r in (8, 3, 1)},
    "pole": pole,
    **{f"dent, {w:g} cells wide": partial(dent, cells=w) for w in (8, 4, 2, 1)},
}
