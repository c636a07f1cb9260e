"""The 1797 handwritten digits of scikit-learn, 8 x 8 pixels, ten classes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from diagkit.errors import MissingPackageError


def sklearn_datasets(needed_for: str) -> Any:
    """The module ``sklearn.datasets``, or a clear error."""
    try:
        import sklearn.datasets
    except ImportError as error:
        raise MissingPackageError("scikit-learn", "lab", needed_for) from error
    return sklearn.datasets


def digits(*, images: bool = False) -> tuple[Tensor, Tensor]:
    """Inputs [1797, 64] in float32, pixels / 16 less the mean of each pixel, and labels [1797].

    With ``images``, inputs are [1797, 1, 8, 8].

    Example
    -------
    >>> X, y = digits()
    >>> X.shape, bool(X.mean(0).abs().max() < 1e-6), sorted(set(y.tolist()))[-1]
    (torch.Size([1797, 64]), True, 9)
    """
    data = sklearn_datasets("the digits data set").load_digits()
    X = torch.tensor(data.data / 16, dtype=torch.float64)
    X = (X - X.mean(0)).float()
    return (X.reshape(-1, 1, 8, 8) if images else X), torch.tensor(data.target)
