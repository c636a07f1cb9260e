r"""How noisy is the gradient? The noise scale, with an interval, or "not resolved"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

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
    num_examples : N, of how many examples' mean loss.
    """

    noise_scale: float
    interval: tuple[float, float]
    gradient_sq_norm: float
    gradient_sq_norm_sem: float
    trace_covariance: float
    num_groups: int
    resolved: bool
    num_examples: int

    def minibatch_variance(self, batch_size: int) -> float:
        r"""E |g_B - g|^2 of a minibatch of B = ``batch_size``, drawn without replacement from the N examples.

        It is (1/B - 1/N) tr(Sigma), with tr(Sigma) = sum_n |g_n - g|^2 / (N - 1): the finite-population
        correction 1 - B/N takes the noise to 0 where the batch is all of the data. |G|^2 and the noise scale
        are those of the population that the examples were drawn from, for which N examples are a sample too.

        Raises
        ------
        InputError : not 1 <= B <= N.
        """
        check_count("batch_size", batch_size)
        if batch_size > self.num_examples:
            raise InputError(f"batch_size = {batch_size}", allowed=f"at most N = {self.num_examples}")
        return (1.0 / batch_size - 1.0 / self.num_examples) * self.trace_covariance

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
    bill = Bill(obj)
    rows, weights = group_gradients(obj, groups, seed)
    noise = resampled_noise((rows @ rows.T).cpu().numpy(), weights, seed)
    with np.errstate(divide="ignore"):
        scales = np.where(noise.squares > 0, noise.traces / np.maximum(noise.squares, 1e-300), np.inf)
    low, high = np.quantile(scales, [0.025, 0.975], method="nearest")
    return GradientNoise(
        noise_scale=noise.trace / noise.square if noise.resolved else float("inf"),
        interval=(float(low), float(high)),
        gradient_sq_norm=noise.square,
        gradient_sq_norm_sem=noise.square_sem,
        trace_covariance=noise.trace,
        num_groups=len(weights),
        resolved=noise.resolved,
        num_examples=obj.num_examples,
        seed=seed,
        **bill.paid(),
    )


def group_gradients(obj: Objective, groups: int, seed: int) -> tuple[Tensor, np.ndarray]:
    """Mean gradients [m, P] of about ``groups`` random groups of the examples, and their sizes [m]."""
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
    small = recut(obj, max(1, obj.num_examples // groups), seed)
    rows = small.batch_gradients()
    if not bool(rows.isfinite().all()):
        raise NonFiniteError("the gradient of some example holds NaN or Inf at this point")
    return rows, np.array([batch.size for batch in small.batches], dtype=float)


@dataclass(frozen=True)
class ResampledNoise:
    """tr(Sigma) and |G|^2, and both for resampled groups, from which the errors are told."""

    trace: float
    square: float
    traces: np.ndarray
    squares: np.ndarray

    @property
    def square_sem(self) -> float:
        return float(self.squares.std())

    @property
    def resolved(self) -> bool:
        return bool(self.square > 2 * self.square_sem)


def resampled_noise(gram: np.ndarray, weights: np.ndarray, seed: int) -> ResampledNoise:
    """The estimates and their bootstrap, from inner products [m, m] of group gradients and group sizes."""
    trace, square = _estimates(gram, weights, np.arange(len(weights))[None])
    rng = np.random.default_rng(seed)
    resampled = rng.integers(len(weights), size=(RESAMPLES, len(weights)))
    traces, squares = _estimates(gram, weights, resampled)
    # A bootstrap mean carries the sampling noise once more: take that bias off.
    squares = squares - (squares.mean() - square[0])
    return ResampledNoise(float(trace[0]), float(square[0]), traces, squares)


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
