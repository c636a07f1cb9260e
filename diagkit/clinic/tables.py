"""Small tables of scikit-learn and drawn ones, with standardized columns."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from diagkit.clinic.digits import sklearn_datasets

CLASSES = {"iris": 3, "wine": 3, "breast_cancer": 2}


def standardized(X: Tensor) -> Tensor:
    """Each column less its mean, over its standard deviation."""
    return (X - X.mean(0)) / X.std(0)


def table(name: str, *, raw: bool = False) -> tuple[Tensor, Tensor]:
    """ "iris", "wine", "breast_cancer" (labels [N]) or "diabetes" (targets [N, 1], standardized).

    With ``raw``, columns stay in the units in which they were measured.

    Example
    -------
    >>> X, y = table("wine")
    >>> X.shape, y.dtype, table("diabetes")[1].shape
    (torch.Size([178, 13]), torch.int64, torch.Size([442, 1]))
    >>> table("diabetes", raw=True)[0][0, :3].tolist()  # age, sex, body mass index
    [59.0, 2.0, 32.099998474121094]
    """
    data = _loaded(name, raw)
    X = torch.tensor(data.data, dtype=torch.float64)
    X = X.float() if raw else standardized(X).float()
    y = torch.tensor(data.target)
    return X, y if name in CLASSES else standardized(y.double()[:, None]).float()


def columns(name: str) -> tuple[str, ...]:
    """The names of the columns of a table.

    Example
    -------
    >>> columns("diabetes")[:3]
    ('age', 'sex', 'bmi')
    """
    return tuple(str(column).replace("_", " ") for column in _loaded(name, raw=True).feature_names)


def _loaded(name: str, raw: bool) -> Any:
    load = getattr(sklearn_datasets(f"the {name} data set"), f"load_{name}")
    return load(scaled=False) if name == "diabetes" and raw else load()


def linear_data(n: int, d: int, noise: float, seed: int) -> tuple[Tensor, Tensor]:
    """y = X w + noise, everything Gaussian: inputs [n, d], targets [n, 1]."""
    g = torch.Generator().manual_seed(seed)
    X, w = torch.randn(n, d, generator=g), torch.randn(d, 1, generator=g)
    return X, X @ w + noise * torch.randn(n, 1, generator=g)


def waves(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Sequences [n, 20, 1] of sines with noise, of low or high frequency; the label says which of 3."""
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(0, 3, (n,), generator=g)
    time = torch.arange(20) / 20
    phase = 6.28 * torch.rand(n, 1, generator=g)
    clean = torch.sin(6.28 * (1 + y[:, None]) * time + phase)
    return (clean + 0.1 * torch.randn(n, 20, generator=g))[:, :, None], y
