"""What a step function can reach: the objects that it closes over, and what these hold."""

from __future__ import annotations

import functools
import sys
import sysconfig
import types
from collections import deque
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.utils.data import DataLoader, Dataset

Named = tuple[str, Any]
# Objects of torch whose attributes are their whole state.
OPENED = (nn.Module, torch.optim.Optimizer, LRScheduler, ReduceLROnPlateau, torch.amp.GradScaler)
CONTAINERS = (dict, list, deque, set)
PLAIN = (str, bytes, int, float, complex, bool, type(None), type, types.ModuleType, types.BuiltinFunctionType)
_FOREIGN = ("site-packages", "dist-packages", sysconfig.get_paths()["stdlib"])


def home_of(thing: Any) -> str:
    """Top package of a function, method or partial; "" for anything else."""
    while isinstance(thing, functools.partial):
        thing = thing.func
    return _package(thing) if callable(thing) and not isinstance(thing, OPENED) else ""


def _module(thing: Any) -> str:
    """Where the code is written: a wrapper of a library says that it is from where the wrapped one is."""
    if isinstance(thing, types.FunctionType):
        return str(thing.__globals__.get("__name__", ""))
    return getattr(thing, "__module__", None) or type(thing).__module__ or ""


def _package(thing: Any) -> str:
    return _module(thing).partition(".")[0]


def is_own(thing: Any, home: str = "") -> bool:
    """A function or class of the user's rather than of a library: what it uses may be followed.

    That is what lies at ``home``, the package of the step itself, and what is not installed.
    """
    package = _package(thing)
    if package in {"__main__", home}:
        return True
    if package == "diagkit":
        return False
    path = getattr(sys.modules.get(_module(thing)), "__file__", None)
    return path is not None and not any(part in path for part in _FOREIGN)


def is_open(thing: Any, home: str = "") -> bool:
    """An object whose attributes are its state: the user's own, known ones of torch, and this package's."""
    if isinstance(thing, OPENED):
        return True
    if isinstance(thing, PLAIN) or not hasattr(thing, "__dict__"):
        return False
    return _package(type(thing)) == "diagkit" or is_own(type(thing), home)


def globals_read(function: types.FunctionType) -> list[str]:
    """Names of global variables that the code reads or writes, in nested functions too."""
    names: dict[str, None] = {}
    pending = [function.__code__]
    while pending:
        code = pending.pop()
        names.update(dict.fromkeys(code.co_names))
        pending += [const for const in code.co_consts if isinstance(const, types.CodeType)]
    return list(names)


def parts_of(name: str, thing: Any, home: str = "") -> Iterator[Named]:
    """The objects one step below this one, with names to tell them by; data sets are not opened."""
    if isinstance(thing, (*PLAIN, Tensor, Dataset, DataLoader)):
        return
    if isinstance(thing, dict):
        yield from ((f"{name}[{key!r:.40}]", value) for key, value in thing.items())
        yield from ((name, key) for key in thing if isinstance(key, Tensor))
    elif isinstance(thing, (list, tuple, deque, set, frozenset)):
        yield from ((f"{name}[{index}]", value) for index, value in enumerate(thing))
    elif isinstance(thing, types.MethodType):
        yield from ((name, thing.__self__), (name, thing.__func__))
    elif isinstance(thing, functools.partial):
        yield from ((name, thing.func), (name, thing.args), (name, thing.keywords))
    elif isinstance(thing, types.FunctionType):
        yield from _parts_of_function(thing, home)
    elif is_open(thing, home):
        yield from ((f"{name}.{key}", value) for key, value in vars(thing).items())
        for kind in (kind for kind in type(thing).__mro__ if is_own(kind, home)):
            methods = (method for method in vars(kind).values() if isinstance(method, types.FunctionType))
            yield from ((name, method) for method in methods)


def _parts_of_function(function: types.FunctionType, home: str) -> Iterator[Named]:
    if not is_own(function, home):
        return
    free = function.__code__.co_freevars
    for name, cell in zip(free, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # a variable that has no value yet
            continue
    table = function.__globals__
    yield from ((name, table[name]) for name in globals_read(function) if name in table)
    yield from (("a default argument", value) for value in function.__defaults__ or ())


def reachable(name: str, thing: Any) -> Iterator[Named]:
    """Everything below an object, itself first, each once."""
    pending, home = [(name, thing)], home_of(thing)
    seen: dict[int, Any] = {}  # holds what it has seen, so that no id comes twice
    while pending:
        label, item = pending.pop()
        if id(item) in seen:
            continue
        seen[id(item)] = item
        yield label, item
        pending += parts_of(label, item, home)


def reached(thing: Any, kinds: type | tuple[type, ...]) -> list[Any]:
    """The objects of these kinds below ``thing``.

    Example
    -------
    >>> net = torch.nn.Linear(2, 1)
    >>> def step(batch):
    ...     return net(batch)
    >>> reached(step, torch.nn.Module) == [net]
    True
    """
    return [item for _, item in reachable("step", thing) if isinstance(item, kinds)]
