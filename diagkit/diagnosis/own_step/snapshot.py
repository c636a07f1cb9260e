"""Everything that a step can reach is put back as it was, bit for bit, also when the step raises."""

from __future__ import annotations

import random
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diagkit.diagnosis.own_step.reach import CONTAINERS, globals_read, home_of, is_open, is_own, reachable
from diagkit.objective import same_random_state

MOST_BYTES = 1 << 29  # of tensors beside those of models and optimizers
ABSENT = object()
# Their position cannot be set back.
ONE_WAY = (types.GeneratorType, enumerate, zip, map, filter)


class Snapshot:
    """Remembers values; :meth:`restore` writes back what differs.

    ``lost`` names what can be reached and cannot be put back: iterators, and objects of other libraries.
    """

    def __init__(self) -> None:
        self._undo: list[Callable[[], None]] = []
        self._tensors: dict[int, Tensor] = {}
        self._versions: list[int] = []
        self._seen: dict[int, Any] = {}
        self._bytes = 0
        self.lost: list[str] = []

    def remember(self, name: str, thing: Any) -> None:
        """Keep this object and everything below it, unless it is kept already."""
        home = home_of(thing)
        for label, item in reachable(name, thing):
            if id(item) not in self._seen:
                self._seen[id(item)] = item
                self._keep(label, item, home)

    def knows(self, thing: Any) -> bool:
        return id(thing) in self._seen

    def restore(self) -> None:
        """Write back what differs: containers first, then the values of the tensors in them."""
        for undo in reversed(self._undo):
            undo()
        if self._tensors:
            kept = tuple(self._tensors.values())
            # A graph of the user's that still waits for its backward pass must find the versions it knew.
            torch._C._autograd._unsafe_set_version_counter(kept, tuple(self._versions))

    def _keep(self, name: str, item: Any, home: str) -> None:
        if isinstance(item, Tensor):
            self._keep_tensor(name, item)
        elif isinstance(item, np.ndarray):
            self._keep_array(item)
        elif isinstance(item, CONTAINERS):
            self._keep_container(item)
        elif isinstance(item, types.FunctionType):
            if is_own(item, home):
                self._keep_variables(item)
        elif isinstance(item, torch.Generator):
            state = item.get_state()
            self._undo.append(lambda: item.set_state(state))  # type: ignore[arg-type]
        elif isinstance(item, np.random.Generator):
            bits, before = item.bit_generator, item.bit_generator.state
            self._undo.append(lambda: setattr(bits, "state", before))
        elif isinstance(item, random.Random):
            position = item.getstate()
            self._undo.append(lambda: item.setstate(position))
        elif is_open(item, home):
            self._keep_container(vars(item))
        elif isinstance(item, ONE_WAY) or (hasattr(item, "__next__") and not hasattr(item, "__getitem__")):
            self.lost.append(f"{name} ({type(item).__name__}) cannot be wound back")

    def _keep_tensor(self, name: str, tensor: Tensor) -> None:
        if tensor.is_meta or tensor.is_inference() or not self._affordable(name, tensor):
            return
        # .data shares the storage and not the version counter.
        alias, saved = tensor.data, tensor.data.clone()
        grad, needs = tensor.grad if tensor.is_leaf else None, tensor.requires_grad
        self._tensors[id(tensor)] = tensor
        self._versions.append(tensor._version)

        def undo() -> None:
            if not alias.equal(saved):
                alias.copy_(saved)
            moved = tensor.shape != alias.shape or tensor.dtype != alias.dtype
            if moved or (not tensor.is_sparse and tensor.data_ptr() != alias.data_ptr()):
                tensor.data = alias
            if tensor.is_leaf:
                if tensor.requires_grad != needs:
                    tensor.requires_grad_(needs)
                if tensor.grad is not grad:
                    tensor.grad = grad

        self._undo.append(undo)
        if grad is not None and id(grad) not in self._seen:
            self._seen[id(grad)] = grad
            self._keep_tensor(name, grad)

    def _affordable(self, name: str, tensor: Tensor) -> bool:
        own = isinstance(tensor, torch.nn.Parameter)
        size = 0 if own else tensor.numel() * tensor.element_size()
        if self._bytes + size > MOST_BYTES:
            self.lost.append(f"{name} is too large to keep a copy of")
            return False
        self._bytes += size
        return True

    def _keep_array(self, array: np.ndarray) -> None:
        if not array.flags.writeable or array.dtype.hasobject or array.nbytes + self._bytes > MOST_BYTES:
            return
        saved = array.copy()
        self._bytes += array.nbytes
        self._undo.append(lambda: np.copyto(array, saved))

    def _keep_container(self, container: Any) -> None:
        if isinstance(container, dict):
            items = dict(container)

            def undo_dict() -> None:
                same = container.keys() == items.keys() and all(container[k] is v for k, v in items.items())
                if not same or list(container) != list(items):
                    container.clear()
                    container.update(items)

            self._undo.append(undo_dict)
        elif isinstance(container, set):
            members = set(container)

            def undo_set() -> None:
                if container != members:
                    container.clear()
                    container.update(members)

            self._undo.append(undo_set)
        else:
            values = list(container)

            def undo_list() -> None:
                if len(container) != len(values) or any(
                    a is not b for a, b in zip(container, values, strict=True)
                ):
                    container.clear()
                    container.extend(values)

            self._undo.append(undo_list)

    def _keep_variables(self, function: types.FunctionType) -> None:
        """Variables of enclosing functions and of the module that the function may set."""
        for cell in function.__closure__ or ():
            try:
                value = cell.cell_contents
            except ValueError:
                continue

            def undo_cell(cell: Any = cell, value: Any = value) -> None:
                cell.cell_contents = value

            self._undo.append(undo_cell)
        table = function.__globals__
        bound = {name: table.get(name, ABSENT) for name in globals_read(function)}

        def undo_globals() -> None:
            for name, value in bound.items():
                if table.get(name, ABSENT) is not value:
                    if value is ABSENT:
                        del table[name]
                    else:
                        table[name] = value

        self._undo.append(undo_globals)


@contextmanager
def restored(**things: Any) -> Iterator[Snapshot]:
    """Inside, the things may be changed at will; afterwards they are as before.

    Parameters, buffers, ``.grad``, modes, hooks and attributes of modules, state and groups of optimizers,
    schedulers and gradient scalers, generators, plain containers, variables that a function closes over,
    Python's, NumPy's and torch's random state, and whether gradients are on.

    Example
    -------
    >>> net = torch.nn.Linear(1, 1)
    >>> before = net.bias.item()
    >>> with restored(net=net):
    ...     _ = torch.nn.init.zeros_(net.bias)
    >>> net.bias.item() == before
    True
    """
    snapshot = Snapshot()
    for name, thing in things.items():
        snapshot.remember(name, thing)
    dtype = torch.get_default_dtype()
    with same_random_state(), torch.enable_grad():
        try:
            yield snapshot
        finally:
            torch.set_default_dtype(dtype)
            snapshot.restore()
