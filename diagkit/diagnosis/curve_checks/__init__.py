"""Checks that need nothing but a log, one module per cause; a model's own check of the same cause decides."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from diagkit.diagnosis.check import Check


@cache
def curve_checks() -> tuple[Check, ...]:
    """Every check of a curve, in the order of the ladder."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return tuple(sorted((module.CHECK for module in modules), key=lambda check: check.rung))
