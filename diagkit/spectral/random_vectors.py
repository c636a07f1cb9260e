"""Random test vectors, drawn on the CPU so that the same seed means the same vector on every device."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def wide(device: torch.device) -> torch.dtype:
    """The dtype of sums: float64, except on devices that have none."""
    return torch.float32 if device.type == "mps" else torch.float64


def rademacher(size: int, device: torch.device, seed: int) -> Iterator[Tensor]:
    """Vectors [P] of independent signs, without end: among those with E z z^T = I z^T H z varies least.

    Example
    -------
    >>> next(rademacher(4, torch.device("cpu"), seed=0)).abs()
    tensor([1., 1., 1., 1.], dtype=torch.float64)
    """
    generator = torch.Generator().manual_seed(seed)
    while True:
        bits = torch.randint(2, (size,), generator=generator, dtype=torch.int8)
        yield (2 * bits - 1).to(device, wide(device))


def on_sphere(size: int, device: torch.device, seed: int) -> Iterator[Tensor]:
    """Uniformly random unit vectors [P], without end; signs would leave out directions such as (1, -1, 0).

    Example
    -------
    >>> round(float(next(on_sphere(9, torch.device("cpu"), seed=0)).norm()), 12)
    1.0
    """
    generator = torch.Generator().manual_seed(seed)
    while True:
        vector = torch.randn(size, generator=generator, dtype=torch.float64)
        yield (vector / vector.norm()).to(device, wide(device))


def axes(size: int, device: torch.device, seed: int) -> Iterator[Tensor]:
    """The unit vectors [P] of the P coordinates, each once, in random order.

    Example
    -------
    >>> sum(axes(3, torch.device("cpu"), seed=0))
    tensor([1., 1., 1.], dtype=torch.float64)
    """
    for index in torch.randperm(size, generator=torch.Generator().manual_seed(seed)).tolist():
        vector = torch.zeros(size, dtype=wide(device), device=device)
        vector[index] = 1.0
        yield vector
