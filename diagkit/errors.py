"""Errors that say what was given, what is allowed, and what to write instead."""

from __future__ import annotations


class DiagkitError(Exception):
    """Base of every error that diagkit raises on purpose."""


class InputError(DiagkitError, ValueError):
    """An argument that diagkit cannot use.

    The text has three parts: what was given, what is allowed, what to write instead.

    Example
    -------
    >>> str(InputError("k = 9", allowed="1 <= k <= 3 (the number of parameters)", write="k=3"))
    'got k = 9; allowed: 1 <= k <= 3 (the number of parameters); write: k=3'
    """

    def __init__(self, given: str, *, allowed: str, write: str = "") -> None:
        text = f"got {given}; allowed: {allowed}"
        super().__init__(f"{text}; write: {write}" if write else text)


class NoGradientError(InputError):
    """A loss that no parameter reaches by a differentiable path."""


class NoSecondDerivativeError(InputError):
    """A model or loss that cannot be differentiated twice, so that it has no Hessian-vector products.

    ``what`` names the operation, ``instead`` says what to write in its place.
    """

    def __init__(self, given: str, *, what: str, instead: str) -> None:
        super().__init__(given, allowed="operations with a double backward", write=instead)
        self.what, self.instead = what, instead


class NonFiniteError(DiagkitError, ArithmeticError):
    """NaN or Inf where a measurement needs numbers; the text names the first place."""


class RankError(DiagkitError):
    """Another rank failed, was lost, or did not come; the text names it and what it said."""


class MissingPackageError(DiagkitError, ImportError):
    """An optional package is not installed; the text says which extra holds it."""

    def __init__(self, package: str, extra: str, needed_for: str) -> None:
        super().__init__(f"{needed_for} needs {package}: pip install 'diagkit[{extra}]'")
