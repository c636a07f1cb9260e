"""How far the loss of the examples that were measured may be from that of all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_map
from torch.utils.data import DataLoader, Dataset

from diagkit.diagnosis.case import Case
from diagkit.objective import Batch, Objective, batch_size_of, cut, is_one_batch, pooled

GROUPS = 16  # of examples: the spread of their mean losses tells that of the mean of all
SURE = 2.0  # standard errors that a difference must exceed to be claimed


def loss_error(case: Case) -> float:
    """Standard error of ``case.loss`` as the loss of all training data; 0 where all of them were measured."""
    return case.once(
        "loss error", lambda: standard_error(case.objective, examples_given(case.train_data), case.seed)
    )


def relative_error(case: Case) -> float:
    """Of the loss, and so of a difference between the losses of two models on the same examples."""
    error = loss_error(case)
    return error / abs(case.loss) if error and case.loss else 0.0


def slope_error(case: Case) -> float:
    """Part of ``case.relative_slope`` that is noise of the sample of examples: it makes the norm longer."""
    given, n = examples_given(case.train_data), case.objective.num_examples
    share = 1.0 / n - (1.0 / given if given else 0.0)  # 0 where all examples are measured
    if share <= 0 or case.noise is None or not case.gradient_norm > 0:
        return 0.0
    noise = float(np.sqrt(max(case.noise.trace_covariance, 0.0) * share))
    return case.relative_slope * min(1.0, noise / case.gradient_norm)


def examples_given(data: Any) -> int | None:
    """N of the training data, of which some were read; None where the data do not tell."""
    if isinstance(data, DataLoader):
        data = data.sampler
    elif is_one_batch(data):
        return _size(data)
    elif isinstance(data, (list, tuple)):
        return sum(_size(payload) for payload in data)
    elif not isinstance(data, Dataset):
        return None
    try:
        return len(data)
    except TypeError:
        return None


def _size(payload: Any) -> int:
    return batch_size_of(tree_map(lambda x: torch.as_tensor(x) if isinstance(x, np.ndarray) else x, payload))


def standard_error(obj: Objective, given: int | None, seed: int) -> float:
    r"""Standard error of L of the n examples of ``obj``, drawn out of ``given`` = N, as that of all N.

    s / sqrt(G) sqrt(1 - n / N), with s the standard deviation of the mean losses of G random groups of equal
    size; N is infinite where it is not known. inf where there is one example, or the batches cannot be cut.

    Example
    -------
    >>> import diagkit as dk
    >>> x = torch.arange(64.0)[:, None]
    >>> obj = dk.Objective(torch.nn.Linear(1, 1), torch.nn.L1Loss(), (x, x))
    >>> standard_error(obj, 64, seed=0), standard_error(obj, None, seed=0) > 0
    (0.0, True)
    """
    if given is not None and given <= obj.num_examples:
        return 0.0
    pool = pooled(obj.batches)
    count = 0 if pool is None else min(GROUPS, pool.size)
    if pool is None or count < 2:
        return float("inf")
    order = torch.randperm(pool.size, generator=torch.Generator().manual_seed(seed))
    params, losses = obj.fixed.layout.split(obj.theta), []
    with obj.quiet(), torch.no_grad():
        for part in order.to(obj.layout.device)[: pool.size - pool.size % count].split(pool.size // count):
            payload = cut(pool.payload, part, pool.size)
            losses.append(float(obj.fixed.of_batch(params, Batch(payload, len(part)), 0)))
    left = 1.0 if given is None else 1.0 - obj.num_examples / given
    return float(np.std(losses, ddof=1) * np.sqrt(left / count))
