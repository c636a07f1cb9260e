"""One module per cause, found by themselves: a new cause is a new file with a ``CHECK`` in it."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from diagkit.diagnosis.check import Check


@cache
def all_checks() -> tuple[Check, ...]:
    """Every check, in the order of the ladder."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return tuple(sorted((module.CHECK for module in modules), key=lambda check: check.rung))
