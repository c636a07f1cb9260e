"""The 1797 handwritten digits of scikit-learn, 8 x 8 pixels, ten classes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from diagkit.errors import InputError, MissingPackageError
from diagkit.objective import check_count


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


def digits_split(num_train: int = 800, seed: int = 0) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The digits in units of their standard deviation, at random in training and test examples.

    Raises
    ------
    InputError : no examples left for one of the two.

    Example
    -------
    >>> train, test = digits_split()
    >>> train[0].shape, test[0].shape
    (torch.Size([800, 64]), torch.Size([997, 64]))
    """
    X, y = digits()
    check_count("num_train", num_train)
    if num_train >= len(y):
        raise InputError(f"num_train = {num_train}", allowed=f"1 <= num_train < {len(y)}", write="800")
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    first, rest = order[:num_train], order[num_train:]
    X = X / X[first].std()
    return (X[first], y[first]), (X[rest], y[rest])


def digits_net() -> nn.Sequential:
    """64 inputs, 32 ReLU units, ten logits; another one at each call, from torch's generator."""
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
