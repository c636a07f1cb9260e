"""One module per cause, found by themselves: a new cause is a new file with a ``CHECK`` in it."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from diagkit.diagnosis.check import Check
from diagkit.diagnosis.curve_checks import curve_checks


@cache
def all_checks() -> tuple[Check, ...]:
    """Every check, in the order of the ladder; a curve is judged alone only where no check here sees more."""
    names = [module.name for module in pkgutil.iter_modules(__path__)]
    own = [importlib.import_module(f"{__name__}.{name}").CHECK for name in names]
    known = {check.cause for check in own}
    curve = [check for check in curve_checks() if check.cause not in known]
    return tuple(sorted([*own, *curve], key=lambda check: check.rung))
