"""Parameters on the way: copies after chosen numbers of steps, for curves and comparisons afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from diagkit.errors import InputError
from diagkit.training import StepInfo
from diagkit.training.run import flat_parameters


def check_kept_at(steps: Iterable[int]) -> tuple[int, ...]:
    """Numbers of steps, in order, each once.

    Raises
    ------
    InputError : something else than integers of 1 or more.

    Example
    -------
    >>> check_kept_at([30, 10, 10])
    (10, 30)
    """
    chosen = tuple(steps)
    if any(isinstance(n, bool) or not isinstance(n, (int, np.integer)) or n < 1 for n in chosen):
        raise InputError(
            f"keep_at = {list(chosen)}", allowed="numbers of steps, 1 or more", write="keep_at=[10, 100]"
        )
    return tuple(sorted({int(n) for n in chosen}))


def flat_buffers(model: nn.Module) -> Tensor:
    """Flat CPU copy [Q] of the buffers that hold real numbers; counters are left out.

    Example
    -------
    >>> flat_buffers(nn.BatchNorm1d(2))  # running mean and variance
    tensor([0., 0., 1., 1.])
    """
    return flat_parameters([torch.empty(0), *(b for b in model.buffers() if b.is_floating_point())])


class PointKeeper:
    """A callback of :func:`diagkit.train` that copies parameters and buffers after certain steps."""

    def __init__(self, keep_at: Sequence[int]) -> None:
        self.keep_at = set(keep_at)
        self.theta: list[Tensor] = []
        self.buffers: list[Tensor] = []

    def on_step(self, info: StepInfo) -> None:
        """Called after each step."""
        if info.step + 1 in self.keep_at:
            self.theta.append(flat_parameters([p for p in info.model.parameters() if p.requires_grad]))
            self.buffers.append(flat_buffers(info.model))


def without_what_came_after(keep_at: tuple[int, ...], kept: list[Tensor], loss: np.ndarray) -> dict[str, Any]:
    """``kept``, C or fewer tensors [K, P], as one [K, C, P]: NaN after the last step of each run.

    Parameters
    ----------
    loss : [K, steps]. A loss that is not finite was found before its step: that step was not taken.

    Example
    -------
    >>> loss = np.array([[3.0, 2.0, 1.0], [3.0, np.inf, np.nan]])
    >>> without_what_came_after((1, 2, 5), [torch.ones(2, 1), torch.ones(2, 1)], loss)["kept"][..., 0]
    tensor([[1., 1., nan],
            [1., nan, nan]])
    """
    if not keep_at or not kept:
        return {}
    bad = ~np.isfinite(loss)
    taken = np.where(bad.any(axis=1), bad.argmax(axis=1), loss.shape[1])
    points = torch.full((len(loss), len(keep_at), kept[0].shape[1]), float("nan"), dtype=kept[0].dtype)
    points[:, : len(kept)] = torch.stack(kept, dim=1)
    points[torch.as_tensor(np.array(keep_at)[None] > taken[:, None])] = float("nan")
    return {"kept_at": keep_at, "kept": points}


def points_of_runs(keepers: Sequence[PointKeeper], keep_at: tuple[int, ...]) -> dict[str, Any]:
    """What runs kept one by one, as ``kept`` [K, C, P] and ``kept_buffers`` [K, C, Q]; NaN after their ends.

    Example
    -------
    >>> keeper = PointKeeper([1, 2])
    >>> keeper.on_step(StepInfo(0, 0, 1.0, nn.Linear(1, 1, bias=False), None))
    >>> points_of_runs([keeper], (1, 2))["kept"].isnan().squeeze().tolist()
    [False, True]
    """
    if not any(keeper.theta for keeper in keepers):
        return {}
    tables = {"kept": [k.theta for k in keepers], "kept_buffers": [k.buffers for k in keepers]}
    return {"kept_at": keep_at} | {name: _stacked(rows, len(keep_at)) for name, rows in tables.items()}


def _stacked(rows: list[list[Tensor]], count: int) -> Tensor:
    """[K, ``count``, n] from up to ``count`` tensors [n] in each row."""
    like = next(point for points in rows for point in points)
    table = torch.full((len(rows), count, like.numel()), float("nan"), dtype=like.dtype)
    for row, points in zip(table, rows, strict=True):
        if points:
            row[: len(points)] = torch.stack(points)
    return table
