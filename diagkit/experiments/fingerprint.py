"""Is this the sweep that was interrupted? What its function computes with, as hashes to compare."""

from __future__ import annotations

import ast
import dataclasses
import functools
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Mapping
from types import CodeType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

DEPTH = 6  # of containers and functions within each other
PLAIN = (str, bytes, int, float, complex, bool, type(None), torch.dtype, torch.device)


def fingerprint(run: Callable[..., Any]) -> dict[str, str]:
    """Part -> hash: the code of ``run`` without comments and layout, and the values that it is bound to.

    Bound are arguments given by ``functools.partial``, defaults, variables of the functions around it, and
    globals. Numbers, strings, containers, arrays, tensors, modules and datasets of tensors count by their
    content, functions of the same file and those handed over by their code, everything else by its name: what
    cannot be told apart so is not noticed.

    Example
    -------
    >>> import torch.nn.functional as F
    >>> def run(lr, seed): return {"loss": lr * scale}
    >>> scale = 2.0
    >>> old = fingerprint(run)
    >>> def run(lr, seed):  # a remark
    ...     return {"loss": lr * scale}
    >>> fingerprint(run) == old
    True
    >>> scale = 3.0
    >>> [part for part, value in fingerprint(run).items() if value != old[part]]
    ['variable scale']
    """
    return {part: _hash(text) for part, text in _parts(run, DEPTH, _home(run)).items()}


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _home(run: Any) -> str:
    while isinstance(run, functools.partial):
        run = run.func
    return str(getattr(run, "__module__", ""))


def _parts(run: Any, depth: int, home: str) -> dict[str, str]:
    """Part -> its content in words."""
    describe = functools.partial(_describe, depth=depth - 1, home=home)
    if isinstance(run, functools.partial):
        bound = {**{f"argument {i}": v for i, v in enumerate(run.args)}, **run.keywords}
        texts = {name: _handed(value, depth - 1, home) for name, value in bound.items()}
        return _parts(run.func, depth, home) | {f"bound {name}": text for name, text in texts.items()}
    if inspect.ismethod(run):
        return _parts(run.__func__, depth, home) | {"bound self": describe(run.__self__)}
    if not inspect.isfunction(run):
        code = {"code": _name(type(run))}
        held = vars(run) if hasattr(run, "__dict__") else {}
        return code | {f"attribute {name}": describe(value) for name, value in held.items()}
    names = inspect.signature(run).parameters.values()
    parts = {"name": run.__qualname__, "code": _code(run)}
    parts |= {f"default {p.name}": describe(p.default) for p in names if p.default is not p.empty}
    try:
        used = inspect.getclosurevars(run)
    except ValueError:  # a variable around it that has no value yet
        return parts
    return parts | {
        f"variable {name}": describe(value) for name, value in {**used.globals, **used.nonlocals}.items()
    }


def _code(function: Any) -> str:
    """The syntax tree, where the source can be had: remarks and line breaks are not in it."""
    try:
        tree: ast.AST = ast.parse(textwrap.dedent(inspect.getsource(function)))
        if function.__name__ == "<lambda>":  # its source is the statement that it stands in
            (tree,) = (node for node in ast.walk(tree) if isinstance(node, ast.Lambda))
    except (OSError, TypeError, SyntaxError, ValueError):  # typed at a prompt, or several lambdas in a line
        return _compiled(function.__code__)
    return ast.dump(tree)


def _compiled(code: Any) -> str:
    constants = [_compiled(c) if isinstance(c, CodeType) else c for c in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {[c for c in constants if isinstance(c, PLAIN)]}"


def _name(thing: Any) -> str:
    return f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', type(thing).__qualname__)}"


def _describe(value: Any, depth: int, home: str) -> str:
    describe = functools.partial(_describe, depth=depth - 1, home=home)
    if isinstance(value, PLAIN):
        return repr(value)
    if isinstance(value, Tensor):
        flat = value.detach().cpu().contiguous()
        return f"{flat.dtype} {tuple(flat.shape)} {_bytes(flat.view(-1).view(torch.uint8).numpy())}"
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype != object:
        return f"{value.dtype} {value.shape} {_bytes(np.ascontiguousarray(value))}"
    if isinstance(value, ModuleType):
        return value.__name__
    if isinstance(value, type) or inspect.isbuiltin(value):
        return _name(value)
    if depth <= 0:
        return _name(type(value))
    if isinstance(value, Mapping):
        return repr(sorted((str(key), describe(item)) for key, item in value.items()))
    if isinstance(value, (list, tuple)):
        return repr([describe(item) for item in value])
    if isinstance(value, (set, frozenset)):
        return repr(sorted(describe(item) for item in value))
    if isinstance(value, nn.Module):
        held = [{k: v for k, v in vars(m).items() if not k.startswith("_")} for m in value.modules()]
        return f"{value!r} {describe(value.state_dict())} {describe(held)}"
    if isinstance(value, functools.partial) or inspect.isfunction(value) or inspect.ismethod(value):
        same_file = _home(value) == home
        return (
            repr(_parts(value, depth, home))
            if same_file or isinstance(value, functools.partial)
            else _name(value)
        )
    if dataclasses.is_dataclass(value) or isinstance(value, Dataset):
        fields = {name: _handed(item, depth - 1, home) for name, item in vars(value).items()}
        return f"{_name(type(value))} {fields}"
    return _name(type(value))


def _handed(value: Any, depth: int, home: str) -> str:
    """A function that is handed over is part of the experiment, whatever file it stands in."""
    return _describe(value, depth, _home(value) if inspect.isfunction(value) else home)


def _bytes(array: Any) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()
