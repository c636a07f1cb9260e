"""How much does an eigenvalue hang on which examples were drawn? Its curvature, group by group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from diagkit.errors import InputError
from diagkit.measure.price import Bill, check_objective
from diagkit.measure.spectrum import Eigenpairs
from diagkit.objective import Objective, check_count, check_seed, recut
from diagkit.result import Result
from diagkit.work import interrupted, progress

if TYPE_CHECKING:
    import pandas as pd

GROUPS = 64  # groups of examples whose curvatures are compared
LEVEL = 0.95
SAME_LOSS = 1e-3  # of the largest group's curvature: how well the groups must average to the whole


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class EigenvalueOverData(Result):
    """The curvature along one fixed direction v, and what it would be for other examples.

    Attributes
    ----------
    value : v^T H v on all examples. interval : for v^T H v on the population they were drawn from, 95 %.
    sem : standard error of ``value`` over draws of examples.
    eigenvalue : the listed value of the pair; ``value`` but for rounding where it is of this very objective.
    groups [m], sizes [m] : v^T H_b v for each group of examples, and how many are in it.
    resampled [resamples] : the bootstrap distribution of ``value``.
    """

    value: float
    interval: tuple[float, float]
    sem: float
    eigenvalue: float
    groups: np.ndarray
    sizes: np.ndarray
    resampled: np.ndarray
    explanation: str

    def summary(self) -> dict[str, Any]:
        return {
            "value": self.value,
            "interval": list(self.interval),
            "sem": self.sem,
            "num_groups": len(self.groups),
            "num_hvps": self.num_hvps,
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per group: its curvature along v and its number of examples."""
        import pandas as pd

        index = pd.RangeIndex(len(self.groups), name="group")
        return pd.DataFrame({"curvature": self.groups, "examples": self.sizes}, index=index)


def eigenvalue_over_data(
    obj: Objective,
    pairs: Eigenpairs,
    index: int = 0,
    *,
    resamples: int = 2000,
    groups: int = GROUPS,
    seed: int = 0,
) -> EigenvalueOverData:
    r"""A bootstrap interval over the data for v^T H v, v an eigenvector held fixed.

    The examples are dealt into m groups; H = sum_b (n_b / N) H_b, so that one product per group gives
    q_b = v^T H_b v, and v^T H v is their weighted mean. Groups are resampled with replacement and the mean is
    studentized (Efron and Tibshirani 1993, ch. 12.5), which follows the skew of curvatures. All groups
    together cost about as much as one product; a second product checks that they add up.

    What the interval means: other examples from the same source, v held fixed. Each sample has its own
    eigenvector, along which its largest curvature is at least v^T H v: for the top eigenvalue the
    values here are lower bounds of what other samples would show. Where v was found on these same examples it
    fits them, and with many parameters and few examples ``value`` is too extreme for the source.

    Parameters
    ----------
    pairs : from ``hessian_eigenvalues`` at this point, of these or of other examples. index : which pair.
    groups : at least 4; of N / groups examples each.

    Raises
    ------
    InputError : batch statistics, under which a group's loss is another function; a loss that does not
        average over examples; fewer than 4 examples; pairs of another model.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> X = torch.randn(512, 2, generator=torch.manual_seed(0)).double() * torch.tensor([3.0, 1.0])
    >>> net = torch.nn.Linear(2, 1, bias=False).double()
    >>> obj = dk.Objective(net, lambda out, y: ((out - y) ** 2).mean() / 2, (X, torch.zeros(512, 1).double()))
    >>> low, high = dk.eigenvalue_over_data(obj, dk.hessian_eigenvalues(obj, 1)).interval
    >>> low < 9 < high  # E (v.x)^2 = 9 along the first axis
    True
    """
    v = _direction(obj, pairs, index)
    check_count("resamples", resamples, least=100, write="2000")
    check_count("groups", groups, least=4)
    check_seed(seed)
    bill = Bill(obj)
    with obj.products(expected=1) as H:
        value = float(v @ H.matvec(v).to(v))
    curvatures, sizes, complete = _curvatures(obj, v, max(1, obj.num_examples // groups), seed)
    mean = float(curvatures @ sizes / sizes.sum())
    if complete and abs(mean - value) > SAME_LOSS * np.abs(curvatures).max(initial=abs(value)):
        raise InputError(
            f"a loss whose groups of examples average to a curvature of {mean:.4g} instead of {value:.4g}",
            allowed="a loss that is the mean of its examples' losses",
        )
    interval, sem, resampled = _bootstrap(curvatures, sizes, int(resamples), seed)
    return EigenvalueOverData(
        value=value,
        interval=interval,
        sem=sem,
        eigenvalue=float(pairs.values[index]),
        groups=curvatures,
        sizes=sizes,
        resampled=resampled,
        explanation=_words(value, interval, len(sizes), pairs.which),
        complete=complete,
        seed=seed,
        **bill.paid(),
    )


def _direction(obj: Objective, pairs: Eigenpairs, index: int) -> torch.Tensor:
    check_objective(obj)
    if not isinstance(pairs, Eigenpairs):
        raise InputError(
            f"pairs of type {type(pairs).__name__}",
            allowed="Eigenpairs",
            write="dk.hessian_eigenvalues(obj, 1)",
        )
    check_count("index", index, least=0)
    if index >= len(pairs.values):
        raise InputError(f"index = {index}", allowed=f"0 to {len(pairs.values) - 1}", write="index=0")
    if pairs.vectors.shape[1] != obj.num_params:
        raise InputError(
            f"pairs with {pairs.vectors.shape[1]} parameters", allowed=f"P = {obj.num_params} of them"
        )
    if obj.norm_stats == "batch":
        raise InputError(
            "norm_stats='batch'",
            allowed="running statistics: a group's curvature is that of another function where it normalizes",
            write="norm_stats='running'",
        )
    if obj.num_examples < 4:
        raise InputError(f"{obj.num_examples} examples", allowed="4 or more")
    return torch.as_tensor(pairs.vectors[index], device=obj.layout.device)


def _curvatures(obj: Objective, v: torch.Tensor, size: int, seed: int) -> tuple[np.ndarray, np.ndarray, bool]:
    """(v^T H_b v [m], examples [m], complete): one product with the same v for each group."""
    small = recut(obj, size, seed)
    curvatures: list[float] = []
    with progress("curvature: groups of examples", len(small.batches)) as advance:
        for batch in small.batches:
            part = small.at(small.theta)
            part.batches, part.num_examples = (batch,), batch.size
            with part.products(expected=1) as H:
                curvatures.append(float(v @ H.matvec(v).to(v)))
            advance(1)
            if len(curvatures) >= 4 and interrupted():
                break
    # All groups together are one pass over the data: one product, as prices are counted.
    obj.meter.num_hvps -= len(curvatures) - 1
    sizes = np.array([batch.size for batch in small.batches[: len(curvatures)]], dtype=float)
    return np.array(curvatures), sizes, len(curvatures) == len(small.batches)


def _bootstrap(
    values: np.ndarray, weights: np.ndarray, resamples: int, seed: int
) -> tuple[tuple[float, float], float, np.ndarray]:
    """(interval, standard error, resampled means) of the weighted mean, by the studentized bootstrap."""
    rng = np.random.default_rng(seed)
    chosen = rng.integers(len(values), size=(resamples, len(values)))
    mean, sem = _mean_and_sem(values[None], weights[None])
    means, sems = _mean_and_sem(values[chosen], weights[chosen])
    floor = 1e-12 * max(float(np.abs(values).max()), 1e-300)  # a resample of one group alone
    t = (means - mean) / np.maximum(sems, floor)
    low, high = np.quantile(t, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return (float(mean[0] - high * sem[0]), float(mean[0] - low * sem[0])), float(sem[0]), means


def _mean_and_sem(values: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean of each row [r, m] and its standard error."""
    share = weights / weights.sum(axis=1, keepdims=True)
    mean = (share * values).sum(axis=1)
    m = values.shape[1]
    variance = (share**2 * (values - mean[:, None]) ** 2).sum(axis=1) * m / (m - 1)
    return mean, np.sqrt(variance)


def _words(value: float, interval: tuple[float, float], num_groups: int, which: str) -> str:
    side = "at least" if which == "largest" else "at most"
    return (
        f"Along this direction, held fixed, the curvature is {value:.3g}. Over all examples of the same "
        f"source it lies between {interval[0]:.3g} and {interval[1]:.3g} (95 % interval, {num_groups} groups "
        "resampled). "
        f"Another sample's own extreme eigenvalue is {side} its curvature along this direction."
    )
