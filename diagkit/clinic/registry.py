"""The list of patients, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from diagkit.clinic.patient import Half, Patient
from diagkit.errors import InputError
from diagkit.objective import same_random_state

Builder = Callable[[int], Patient]
_BUILDERS: dict[str, Builder] = {}
_ENTRIES: dict[str, Entry] = {}


@dataclass(frozen=True)
class Entry:
    """What a builder is registered under; ``patient`` fills these into the Patient."""

    name: str
    cause: str
    half: Half
    story: str
    also: tuple[str, ...]

    def patient(self, seed: int, parts: dict[str, Any]) -> Patient:
        return Patient(
            name=self.name,
            cause=self.cause,
            half=self.half,
            story=self.story,
            also=self.also,
            seed=seed,
            **parts,
        )


def admit(
    name: str, cause: str, *, half: Half = "development", also: tuple[str, ...] = ()
) -> Callable[[Callable[[int], dict[str, Any]]], Callable[[int], dict[str, Any]]]:
    """Register a function of the seed that returns the parts of a patient; its docstring is the story.

    The caller's random state is left as it was.
    """

    def register(build: Callable[[int], dict[str, Any]]) -> Callable[[int], dict[str, Any]]:
        entry = Entry(name, cause, half, " ".join((build.__doc__ or "").split()), also)

        def builder(seed: int) -> Patient:
            with same_random_state():
                return entry.patient(seed, build(seed))

        _BUILDERS[name], _ENTRIES[name] = builder, entry
        return build

    return register


def patients() -> dict[str, Builder]:
    """Name -> function of a seed that builds the patient, in the order of admission.

    Example
    -------
    >>> list(patients())[:3]
    ['zero-initialized', 'rate-too-large', 'healthy']
    """
    return dict(_BUILDERS)


def halves() -> dict[str, Half]:
    """Name -> "development" or "held-out", without building anyone."""
    return {name: entry.half for name, entry in _ENTRIES.items()}


def patient(name: str, seed: int = 0) -> Patient:
    """Build one patient; the same seed builds the same one.

    Example
    -------
    >>> zero = patient("zero-initialized")
    >>> zero.cause, round(float(zero.history.loss[-1]), 4)
    ('symmetric-initialization', 2.3026)
    """
    if name not in _BUILDERS:
        known = ", ".join(_BUILDERS)
        raise InputError(f"patient {name!r}", allowed=known, write='dk.clinic.patient("healthy")')
    return _BUILDERS[name](seed)
