"""Feature scaling: each input column shifted and stretched, by what the training data say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from diagkit.errors import InputError, NonFiniteError
from diagkit.result import Result

if TYPE_CHECKING:
    import pandas as pd

SCALINGS = ("none", "min-max", "mean", "z-score", "unit-length")
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Scaling(Result):
    r"""z = (x - shift) / scale for each of d features, fitted on training data X [n, d].

    Attributes
    ----------
    kind : as asked for. shift [d], scale [d] : in the units of the features; 0 and 1 where nothing changes.
    constant [d] : features with one value (to rounding) in the training data; shifted, but not stretched.
    condition_before, condition_after : condition number lambda_max / lambda_min of X^T X / n, the Hessian of
        least squares and the reason why scaling matters to gradient descent; over the features that are not
        constant, nan if there are none. inf where the smallest eigenvalue is not told from rounding.
    quantiles_before [5, d], quantiles_after [5, d] : at 5, 25, 50, 75 and 95 % of the training data.
    num_examples : n.
    """

    kind: str
    shift: np.ndarray
    scale: np.ndarray
    constant: np.ndarray
    condition_before: float
    condition_after: float
    quantiles_before: np.ndarray
    quantiles_after: np.ndarray
    num_examples: int

    def apply(self, X: Any) -> Tensor:
        """Scale data [m, d] with the numbers of the training data; on the device and in the dtype of X."""
        X = self._checked(X)
        return (X - self._like(self.shift, X)) / self._like(self.scale, X)

    def inverse(self, Z: Any) -> Tensor:
        """Undo :meth:`apply`."""
        Z = self._checked(Z)
        return Z * self._like(self.scale, Z) + self._like(self.shift, Z)

    def summary(self) -> dict[str, Any]:
        """Kind, size, and what became of the condition number."""
        return {
            "kind": self.kind,
            "features": len(self.shift),
            "constant": int(self.constant.sum()),
            "condition_before": self.condition_before,
            "condition_after": self.condition_after,
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per feature."""
        import pandas as pd

        columns = {"shift": self.shift, "scale": self.scale, "constant": self.constant}
        return pd.DataFrame(columns, index=pd.Index(np.arange(len(self.shift)), name="feature"))

    def _checked(self, X: Any) -> Tensor:
        X = as_floating(X)
        if X.ndim != 2 or X.shape[1] != len(self.shift):
            raise InputError(f"data of shape {tuple(X.shape)}", allowed=f"[m, {len(self.shift)}], as fitted")
        return X

    @staticmethod
    def _like(values: np.ndarray, X: Tensor) -> Tensor:
        return torch.as_tensor(values).to(X)


def fit_scaling(X: Any, kind: str) -> Scaling:
    r"""Fit a scaling z = (x - shift) / scale of each feature on training data X [n, d], in float64.

    - "min-max": shift = min, scale = max - min: z in [0, 1] on the training data;
    - "mean": shift = mean, scale = max - min;
    - "z-score": shift = mean, scale = standard deviation (with 1 / n): mean 0, variance 1;
    - "unit-length": shift = 0, scale = sqrt(sum_n x_n^2): each column of length 1 (not each example);
    - "none": the control.

    Validation and test data are scaled by :meth:`Scaling.apply` with these numbers: fitted on them as well,
    they would tell the training about data it must not know. Being affine, a scaling moves and stretches a
    distribution, but leaves its shape: skew and outliers stay. Correlation between features stays too.

    Raises
    ------
    InputError : not [n, d] numbers with n >= 2 and d >= 1, an unknown kind.
    NonFiniteError : NaN or Inf in X.

    Example
    -------
    >>> X = torch.tensor([[0.0, 300.0], [1.0, 100.0], [0.0, 100.0], [1.0, 300.0]])
    >>> scaling = fit_scaling(X, "z-score")
    >>> scaling
    Scaling(kind=z-score, features=2, constant=0, condition_before=1.667e+05, condition_after=1)
    >>> scaling.apply(torch.tensor([[2.0, 200.0]]))
    tensor([[3., 0.]])
    """
    if kind not in SCALINGS:
        raise InputError(f"kind={kind!r}", allowed=f"one of {', '.join(SCALINGS)}", write="kind='z-score'")
    given = as_floating(X)
    if given.ndim != 2 or given.shape[0] < 2 or given.shape[1] < 1:
        raise InputError(
            f"data of shape {tuple(given.shape)}", allowed="[n, d] with n >= 2 examples of d features",
            write="X.reshape(len(X), -1)",
        )  # fmt: skip
    if not bool(torch.isfinite(given).all()):
        raise NonFiniteError("the data hold NaN or Inf: repair or remove these examples before scaling")
    eps = float(torch.finfo(given.dtype).eps)
    data = given.detach().cpu().double().numpy()
    low, high, mean = data.min(axis=0), data.max(axis=0), data.mean(axis=0)
    constant = high - low <= 8 * eps * np.maximum(np.abs(low), np.abs(high))
    nothing, one = np.zeros_like(mean), np.ones_like(mean)
    shift, scale = {
        "none": (nothing, one),
        "min-max": (low, high - low),
        "mean": (mean, high - low),
        "z-score": (mean, data.std(axis=0)),
        "unit-length": (nothing, np.linalg.norm(data, axis=0)),
    }[kind]
    stretched = ~constant | ((kind == "unit-length") & (scale > 0))
    scale = np.where(stretched, scale, 1.0)
    scaled = (data - shift) / scale
    return Scaling(
        kind=kind,
        shift=shift,
        scale=scale,
        constant=constant,
        condition_before=condition_number(data[:, ~constant], eps),
        condition_after=condition_number(scaled[:, ~constant], eps),
        quantiles_before=np.quantile(data, QUANTILES, axis=0),
        quantiles_after=np.quantile(scaled, QUANTILES, axis=0),
        num_examples=len(data),
    )


def condition_number(X: np.ndarray, eps: float) -> float:
    """lambda_max / lambda_min of X^T X / n for X [n, d] known to ``eps``, from singular values.

    Example
    -------
    >>> condition_number(np.diag([3.0, 1.0]), 1e-16), condition_number(np.ones((3, 2)), 1e-16)
    (9.0, inf)
    """
    if not X.shape[1]:
        return float("nan")
    values = np.linalg.svd(X, compute_uv=False)
    if len(X) < X.shape[1] or values[-1] <= max(X.shape) * eps * values[0]:
        return float("inf")
    return float((values[0] / values[-1]) ** 2)


def as_floating(X: Any) -> Tensor:
    """Data as a floating tensor: integers become float32, other numbers keep their precision."""
    try:
        X = X if isinstance(X, Tensor) else torch.as_tensor(np.asarray(X))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"data of type {type(X).__name__} that are no numbers", allowed="a tensor or array [n, d]"
        ) from error
    return X if X.is_floating_point() else X.float()
