r"""How noisy is the gradient? The noise scale, with an interval, or "not resolved"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from diagkit.errors import InputError, NonFiniteError
from diagkit.measure.price import Bill, check_objective
from diagkit.objective import Objective, check_count, check_seed, recut
from diagkit.result import Result

GROUPS = 64  # groups of examples whose gradients are compared
RESAMPLES = 2000


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class GradientNoise(Result):
    """Noise of the gradient of one example against the gradient itself.

    Attributes
    ----------
    noise_scale : tr(Sigma) / |G|^2 in examples: the batch size at which noise and gradient are equal; inf
        where |G|^2 is not resolved. interval : its 95 % bootstrap interval.
    gradient_sq_norm : unbiased estimate of |G|^2 (can be negative), gradient_sq_norm_sem its standard error.
    trace_covariance : tr(Sigma), variance of a single example's gradient, summed over parameters.
    resolved : |G|^2 differs from zero beyond the noise of this sample of examples.
    """

    noise_scale: float
    interval: tuple[float, float]
    gradient_sq_norm: float
    gradient_sq_norm_sem: float
    trace_covariance: float
    num_groups: int
    resolved: bool

    def summary(self) -> dict[str, Any]:
        return {
            "noise_scale": self.noise_scale,
            "interval": list(self.interval),
            "gradient_sq_norm": self.gradient_sq_norm,
            "trace_covariance": self.trace_covariance,
            "resolved": self.resolved,
        }


def gradient_noise(obj: Objective, *, groups: int = GROUPS, seed: int = 0) -> GradientNoise:
    r"""The simple noise scale B = tr(Sigma) / |G|^2 (McCandlish et al. 2018, arXiv:1812.06162).

    From the mean gradients g_i of m groups of b examples each: tr(Sigma) = b/(m-1) sum |g_i - g|^2 and
    |G|^2 = |g|^2 - tr(Sigma)/N. The correction matters: the squared norm of a mean is biased upward by its
    variance. Where |G|^2 does not exceed twice its standard error the answer is "not resolved".

    Raises
    ------
    InputError : fewer than 4 examples; batch statistics, under which examples have no gradient of their own.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> X = torch.randn(512, 4, generator=torch.manual_seed(0)).double()
    >>> net = torch.nn.Linear(4, 1, bias=False).double()
    >>> obj = dk.Objective(net, lambda out, y: ((out - y) ** 2).mean() / 2, (X, torch.zeros(512, 1).double()))
    >>> noise = dk.gradient_noise(obj)  # y = 0: noise scale d + 1 = 5
    >>> noise.interval[0] < 5 < noise.interval[1], noise.resolved
    (True, True)
    """
    check_objective(obj)
    if obj.norm_stats == "batch":
        raise InputError(
            "norm_stats='batch'",
            allowed="running statistics: an example's gradient is undefined where the batch normalizes it",
            write="norm_stats='running'",
        )
    if obj.num_examples < 4:
        raise InputError(f"{obj.num_examples} examples", allowed="4 or more")
    check_count("groups", groups, least=4)
    check_seed(seed)
    bill = Bill(obj)
    size = max(1, obj.num_examples // groups)
    small = recut(obj, size, seed)
    weights = np.array([batch.size for batch in small.batches], dtype=float)
    rows = small.batch_gradients()
    if not bool(rows.isfinite().all()):
        raise NonFiniteError("the gradient of some example holds NaN or Inf at this point")
    gram = (rows @ rows.T).cpu().numpy()
    trace, square = _estimates(gram, weights, np.arange(len(weights))[None])
    rng = np.random.default_rng(seed)
    resampled = rng.integers(len(weights), size=(RESAMPLES, len(weights)))
    traces, squares = _estimates(gram, weights, resampled)
    # A bootstrap mean carries the sampling noise once more: take that bias off.
    squares = squares - (squares.mean() - square[0])
    sem = float(squares.std())
    resolved = bool(square[0] > 2 * sem)
    with np.errstate(divide="ignore"):
        scales = np.where(squares > 0, traces / np.maximum(squares, 1e-300), np.inf)
    low, high = np.quantile(scales, [0.025, 0.975], method="nearest")
    return GradientNoise(
        noise_scale=float(trace[0] / square[0]) if resolved else float("inf"),
        interval=(float(low), float(high)),
        gradient_sq_norm=float(square[0]),
        gradient_sq_norm_sem=sem,
        trace_covariance=float(trace[0]),
        num_groups=len(weights),
        resolved=resolved,
        seed=seed,
        **bill.paid(),
    )


def _estimates(gram: np.ndarray, weights: np.ndarray, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(tr Sigma, |G|^2) for each row of chosen groups, from inner products of group gradients alone."""
    counts = np.stack([np.bincount(chosen, minlength=len(weights)) for chosen in index])
    w = counts * weights
    share = w / w.sum(axis=1, keepdims=True)
    cross = share @ gram
    mean_squares = (share * cross).sum(axis=1)
    deviations = np.diag(gram) - 2 * cross + mean_squares[:, None]  # |g_i - g|^2
    traces = (w * deviations).sum(axis=1) / (counts.sum(axis=1) - 1)
    return traces, mean_squares - traces / w.sum(axis=1)
