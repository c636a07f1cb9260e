"""Which outputs depend on which inputs: one part of the input is replaced, and the outputs are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from diagkit.diagnosis.audit.probe import Probe
from diagkit.objective import Batch, cut, tensors_in
from diagkit.result import Result

EXAMPLES = 8  # whose outputs are compared
ROUNDINGS = 1e3  # of the largest output: a change below it is the order of a sum


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Dependence(Result):
    """change [n, n]: how much output i moves when input j is replaced, over the largest output; NaN where
    not asked.

    over : "examples" of a batch or "positions" of a sequence. slack : below it a change is rounding.
    """

    change: np.ndarray
    over: str
    slack: float

    @property
    def depends(self) -> np.ndarray:
        """[n, n], True where output i depends on input j beyond rounding."""
        return np.nan_to_num(self.change) > self.slack

    @property
    def mixed(self) -> int:
        """Pairs i != j of which one output depends on the other's input."""
        return int((self.depends & ~np.eye(len(self.change), dtype=bool)).sum())

    def summary(self) -> dict[str, Any]:
        return {"over": self.over, "compared": len(self.change), "mixed_pairs": self.mixed}


def rows_of(output: Tensor, size: int) -> Tensor | None:
    """Outputs as [examples, ...]: the batch is the first axis, or several rows of each follow each other."""
    if output.shape[:1] == (size,):
        return output.flatten(1) if output.ndim > 1 else output[:, None]
    if output.numel() % size or output.shape[0] % size:
        return None
    return output.reshape(size, -1)


def example_dependence(found: Probe, batch: Batch) -> Dependence | None:
    """Replace one example after the other by some other one; None where outputs have no rows.

    In evaluation mode, where BatchNorm has its own statistics, output i of a model of single examples
    does not move when example j is replaced.
    """
    size = min(EXAMPLES, batch.size // 2)
    if size < 2 or is_graph(batch):
        return None
    payload = cut(batch.payload, slice(0, size), batch.size)
    spare = cut(batch.payload, slice(size, 2 * size), batch.size)
    with torch.no_grad():
        output = found.see(Batch(payload, size)).output
        own = None if output is None else rows_of(output, size)
        if own is None:
            return None
        moved = []
        for j in range(size):
            other = found.see(Batch(_with_example(payload, spare, j, size), size)).output
            rows = None if other is None else rows_of(other, size)
            if rows is None or rows.shape != own.shape:
                return None
            moved.append((rows - own).abs().amax(1).double().cpu().numpy())
    return _result(np.stack(moved, axis=1), own, "examples", size + 1)


def is_graph(batch: Batch) -> bool:
    """A matrix of the examples by themselves, or a list of edges: they are meant to see each other."""
    return any(
        t.shape == (batch.size, batch.size) or (t.ndim == 2 and len(t) == 2 < batch.size)
        for t in tensors_in(batch.payload)
    )


def position_dependence(found: Probe, batch: Batch, places: Sequence[int]) -> Dependence | None:
    """Replace the symbols at one position after the other, in all sequences: inputs [N, T], whole numbers."""
    seen = found.see(batch)
    tokens = tokens_in(seen.inputs)
    if tokens is None or seen.output is None:
        return None
    n, length = tokens.shape
    if seen.output.numel() % (n * length):
        return None
    if seen.output.shape[:2] not in ((n, length),) and seen.output.shape[0] != n * length:
        return None
    own = seen.output.detach().reshape(n, length, -1)
    change = np.full((length, length), np.nan)  # of positions that are not asked for
    with torch.no_grad():
        for place in places:
            # Symbols of another sequence, so that they stay within the vocabulary.
            other = tokens.clone()
            other[:, place] = tokens.roll(1, 0)[:, place]
            rows = found.see(Batch(_put(batch.payload, tokens, other), batch.size)).output
            assert rows is not None
            moved = (rows.reshape(n, length, -1) - own).abs().amax(2)
            differs = other[:, place] != tokens[:, place]
            if bool(differs.any()):
                change[:, place] = moved[differs].amax(0).double().cpu().numpy()
    return _result(change, own, "positions", len(places) + 1)


def tokens_in(inputs: Sequence[Tensor]) -> Tensor | None:
    """The sequences of symbols [N, T] that a model was called with."""
    found = [t for t in inputs if t.ndim == 2 and not t.is_floating_point() and t.dtype != torch.bool]
    return found[0] if found else None


def _with_example(payload: Any, spare: Any, j: int, size: int) -> Any:
    def swap(t: Any, other: Any) -> Any:
        if not isinstance(t, Tensor) or t.shape[:1] != (size,):
            return t
        changed = t.clone()
        changed[j] = other[j]
        return changed

    return tree_map(swap, payload, spare)


def _put(payload: Any, old: Tensor, new: Tensor) -> Any:
    return tree_map(lambda t: new if isinstance(t, Tensor) and t.data_ptr() == old.data_ptr() else t, payload)


def _result(moved: np.ndarray, own: Tensor, over: str, num_evals: int) -> Dependence:
    scale = max(float(own.abs().max()), 1e-30)
    slack = ROUNDINGS * torch.finfo(own.dtype).eps
    return Dependence(change=moved / scale, over=over, slack=slack, num_evals=num_evals)
