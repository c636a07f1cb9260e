"""Settings times seeds, paired: every setting sees the same seeds."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from diagkit.errors import InputError
from diagkit.objective import check_seed

Setting = str | int | float | bool | None
RESERVED = ("seed", "seeds", "seconds", "status", "error")  # columns of every sweep
NAME_LENGTH = 100  # characters of a readable file name; file systems allow 255


@dataclass(frozen=True)
class Cell:
    """One setting of everything that is varied, with one seed.

    Example
    -------
    >>> cell = Cell({"batch_size": 20, "arm": "same epochs"}, 3)
    >>> cell.name
    'batch_size=20,arm=same_epochs,seed=3-64c6695f5830'
    """

    settings: Mapping[str, Setting]
    seed: int

    @property
    def key(self) -> str:
        """Hash of settings and seed, whatever the order in which the settings were written."""
        text = json.dumps([dict(self.settings), self.seed], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        """Readable and unique: names the files of this run."""
        text = ",".join(f"{name}={value}" for name, value in {**self.settings, "seed": self.seed}.items())
        return f"{re.sub(r'[^A-Za-z0-9_=.,+-]', '_', text)[:NAME_LENGTH]}-{self.key}"


@dataclass(frozen=True)
class Grid:
    """What a sweep runs over.

    Attributes
    ----------
    settings : one mapping (name -> value) per setting, all with the same names.
    seeds : run under each of them, so that settings are compared seed by seed.
    """

    settings: tuple[Mapping[str, Setting], ...]
    seeds: tuple[int, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of what is varied."""
        return tuple(self.settings[0])

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All runs, seed after seed: a sweep that ends early has whole pairs."""
        return tuple(Cell(settings, seed) for seed in self.seeds for settings in self.settings)


def make_grid(settings: Any, seeds: Any) -> Grid:
    """All combinations of some named values, or the settings of a list, with each of the seeds.

    Parameters
    ----------
    settings : ``{"lr": [0.1, 1.0], "momentum": [0.0, 0.9]}`` for all four combinations, or a list such as
        ``[{"lr": 0.1, "momentum": 0.9}, {"lr": 1.0, "momentum": 0.0}]`` for these two. Values are strings,
        numbers, booleans or None, so that they can stand in a table and in a file name.
    seeds : integers, 0 <= seed < 2^32, each once.

    Raises
    ------
    InputError : nothing to run, a value of another type, settings that differ in their names, a repeated one.

    Example
    -------
    >>> grid = make_grid({"lr": [0.1, 1.0], "momentum": [0.0, 0.9]}, seeds=range(8))
    >>> len(grid.settings), len(grid.cells), grid.names
    (4, 32, ('lr', 'momentum'))
    """
    rows = _product(settings) if isinstance(settings, Mapping) else _listed(settings)
    if isinstance(seeds, (str, bytes)) or not isinstance(seeds, Iterable):
        raise InputError(f"seeds = {seeds!r}", allowed="a sequence of integers", write="seeds=range(8)")
    chosen = tuple(seeds)
    for seed in chosen:
        check_seed(seed)
    chosen = tuple(int(seed) for seed in chosen)
    if not rows or not chosen:
        raise InputError(
            f"{len(rows)} settings and {len(chosen)} seeds",
            allowed="at least one of each",
            write='settings={"lr": [0.1, 1.0]}, seeds=range(8)',
        )
    _refuse_names(rows)
    keys = [Cell(row, 0).key for row in rows]
    if len(set(keys)) < len(keys) or len(set(chosen)) < len(chosen):
        raise InputError("the same setting or seed twice", allowed="each one once")
    return Grid(tuple(rows), chosen)


def _product(settings: Mapping[str, Any]) -> list[dict[str, Setting]]:
    for name, values in settings.items():
        if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
            raise InputError(
                f"{name} = {values!r}", allowed="a list of the values to try", write=f"{name}=[{values!r}]"
            )
    lists = [[_plain(name, value) for value in values] for name, values in settings.items()]
    return [dict(zip(settings, row, strict=True)) for row in itertools.product(*lists)] if settings else []


def _listed(settings: Any) -> list[dict[str, Setting]]:
    good = isinstance(settings, Sequence) and all(isinstance(row, Mapping) and row for row in settings)
    if not good or isinstance(settings, str):
        raise InputError(
            f"settings of type {type(settings).__name__}",
            allowed="a dict of lists (all combinations) or a list of dicts (these settings)",
            write='{"lr": [0.1, 1.0]}',
        )
    return [{name: _plain(name, value) for name, value in row.items()} for row in settings]


def _plain(name: Any, value: Any) -> Setting:
    """The value as plain Python."""
    plain = value.item() if isinstance(value, np.generic) else value
    if plain is None or isinstance(plain, (str, bool, int, float)):
        return plain
    raise InputError(
        f"the setting {name} = {value!r} of type {type(value).__name__}",
        allowed="a string, a number, a boolean or None",
        write=f'{name}="a name", looked up inside the run',
    )


def _refuse_names(rows: list[dict[str, Setting]]) -> None:
    names = list(rows[0])
    for row in rows:
        if set(row) != set(names):
            raise InputError(
                f"settings with the names {sorted(row)} beside {sorted(names)}", allowed="the same in each"
            )
    for name in names:
        if name in RESERVED or not (isinstance(name, str) and name.isidentifier()):
            raise InputError(
                f"a setting called {name!r}",
                allowed=f"names of Python arguments, except {', '.join(RESERVED)}",
            )
