"""How far do signals and gradients reach? Activations and their gradients, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from diagkit.errors import InputError
from diagkit.measure.activation_records import Record, watch
from diagkit.measure.growth import Growth, growth
from diagkit.measure.price import Bill, check_objective
from diagkit.objective import Objective
from diagkit.result import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class SignalPropagation(Result):
    r"""One row for each of L layers, in the order of execution: outputs h_n [units] and gradients dl_n/dh_n.

    Attributes
    ----------
    names [L], kinds [L], num_units [L] : layers, their classes, and how many numbers each puts out per
    example. is_weight_layer [L] : Linear and convolutional ones, between which growth is told.
    means [L], variances [L] : of h, over examples and units. mean_sems, variance_sems : standard errors over
        the examples, as are all sems here.
    zeros [L], zero_sems [L] : share of outputs that are exactly 0.
    dead [L] : share of the units that are 0 for all examples seen (more examples can only make it smaller);
        nan where the number of units differs between batches.
    gradient_sq_norms [L], gradient_sq_norm_sems [L] : mean over the examples of |dl_n/dh_n|^2, l_n the loss
        of one example; nan for what has no way to the loss.
    gradient_variances [L] : variance of the entries of dl_n/dh_n, over examples and units.
    signal_growth : factor of the mean square of h from one hidden weight layer to the next.
    gradient_growth : factor of |dl_n/dh_n|^2 from one hidden weight layer to the one before it. Neither
        counts the first weight layer, whose scale is that of the data, or the last, whose gradient is that of
        the loss.
    num_examples : seen.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    num_units: np.ndarray
    is_weight_layer: np.ndarray
    means: np.ndarray
    mean_sems: np.ndarray
    variances: np.ndarray
    variance_sems: np.ndarray
    zeros: np.ndarray
    zero_sems: np.ndarray
    dead: np.ndarray
    gradient_sq_norms: np.ndarray
    gradient_sq_norm_sems: np.ndarray
    gradient_variances: np.ndarray
    signal_growth: Growth
    gradient_growth: Growth
    num_examples: int

    @property
    def verdict(self) -> str:
        """Of the gradient: "exploding", "vanishing", "steady" or "undecided", see :class:`Growth`."""
        return self.gradient_growth.verdict

    @property
    def mean_squares(self) -> np.ndarray:
        """Of h, over examples and units [L]."""
        return self.variances + self.means**2

    def summary(self) -> dict[str, Any]:
        dead = self.dead[np.isfinite(self.dead)]
        return {
            "verdict": self.verdict,
            "layers": len(self.names),
            "gradient_growth": self.gradient_growth.factor,
            "gradient_interval": list(self.gradient_growth.interval),
            "signal_growth": self.signal_growth.factor,
            "signal_interval": list(self.signal_growth.interval),
            "most_dead": float(dead.max()) if dead.size else float("nan"),
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per layer."""
        import pandas as pd

        columns: dict[str, Any] = {"kind": self.kinds, "units": self.num_units}
        columns |= {"mean": self.means, "mean_sem": self.mean_sems}
        columns |= {"variance": self.variances, "variance_sem": self.variance_sems}
        columns |= {"zeros": self.zeros, "zero_sem": self.zero_sems, "dead": self.dead}
        columns |= {"gradient_sq_norm": self.gradient_sq_norms}
        columns |= {"gradient_sq_norm_sem": self.gradient_sq_norm_sems}
        columns |= {"gradient_variance": self.gradient_variances}
        return pd.DataFrame(columns, index=pd.Index(self.names, name="layer"))


def signal_propagation(obj: Objective) -> SignalPropagation:
    r"""Statistics of the outputs h of each layer, and of the gradients dl_n/dh_n that come back to them.

    Layers are modules without children whose output is one tensor with the examples first. Entries are
    averaged with weight 1 / (examples x units). With ``norm_stats="batch"`` BatchNorm does what it does in
    training, and dl_n/dh_n, n times the derivative of the batch's mean loss, has the part in it that comes
    through the other examples.

    The growth between hidden weight layers is judged against the scatter between them: "exploding" and
    "vanishing" where the 95 % interval of all steps together lies beyond a factor of 10 in the norm. With
    ReLU and batch normalization at initialization the squared gradient grows by pi / (pi - 1) = 1.467 per
    layer towards the input, in the limit of wide layers and large batches (Yang et al. 2019,
    arXiv:1902.08129); without normalization, He's initialization keeps it (He et al. 2015, arXiv:1502.01852).

    Raises
    ------
    InputError : no module of the model puts out a tensor with the examples first.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> net = torch.nn.Sequential(torch.nn.Linear(1, 2, bias=False), torch.nn.ReLU())
    >>> _ = net[0].weight.data.copy_(torch.tensor([[3.0], [-3.0]]))  # h = (3, -3), then (3, 0)
    >>> data = torch.ones(4, 1), torch.zeros(4, 2)
    >>> found = dk.signal_propagation(dk.Objective(net, torch.nn.MSELoss(), data))
    >>> found.to_frame()[["mean", "variance", "dead", "gradient_sq_norm"]]  # l = (9 + 0) / 2, dl/dh = (3, 0)
           mean  variance  dead  gradient_sq_norm
    layer
    0       0.0      9.00   0.0               9.0
    1       1.5      2.25   0.5               9.0
    """
    check_objective(obj)
    obj.ranks.refuse("the activations of single examples")
    bill = Bill(obj)
    records, complete = watch(obj)
    if not records:
        raise InputError(
            f"a {type(obj.model).__name__} in which no module puts out a tensor with the examples first",
            allowed="layers that are modules, such as nn.Linear and nn.ReLU",
        )
    obj.meter.num_evals += 1
    obj.meter.num_gradients += 1
    means, mean_sems = _over_examples([r.means for r in records])
    squares, _ = _over_examples([r.squares for r in records])
    spread = [
        [s - 2 * m * x for s, x in zip(r.squares, r.means, strict=True)]
        for r, m in zip(records, means, strict=True)
    ]
    _, variance_sems = _over_examples(spread)  # to first order, the variance moves with h^2 - 2 m h
    zeros, zero_sems = _over_examples([r.zeros for r in records])
    units = np.array([r.units for r in records])
    gradient_means, _ = _over_examples([r.gradient_means for r in records])
    gradient_squares, gradient_sems = _over_examples([r.gradient_squares for r in records])
    hidden = np.flatnonzero([r.is_weight_layer for r in records])[1:-1]
    norms = gradient_squares * units
    return SignalPropagation(
        names=tuple(r.name for r in records),
        kinds=tuple(type(r.layer).__name__.removeprefix("Parametrized") for r in records),
        num_units=units,
        is_weight_layer=np.array([r.is_weight_layer for r in records]),
        means=means,
        mean_sems=mean_sems,
        variances=np.maximum(squares - means**2, 0.0),
        variance_sems=variance_sems,
        zeros=zeros,
        zero_sems=zero_sems,
        dead=np.array([_dead(r) for r in records]),
        gradient_sq_norms=norms,
        gradient_sq_norm_sems=gradient_sems * units,
        gradient_variances=np.maximum(gradient_squares - gradient_means**2, 0.0),
        signal_growth=growth(squares[hidden]),
        gradient_growth=growth(norms[hidden][::-1]),
        num_examples=sum(len(part) for part in records[0].means),
        complete=complete,
        **bill.paid(),
    )


def _dead(record: Record) -> float:
    return float("nan") if record.alive is None else float((~record.alive).double().mean())


def _over_examples(rows: list[list[np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and its standard error for each layer's values of the examples, nan where there are none."""
    means, sems = np.full((2, len(rows)), np.nan)
    for i, parts in enumerate(rows):
        values = np.concatenate(parts) if parts else np.empty(0)
        if values.size:
            means[i] = values.mean()
        if values.size > 1:
            sems[i] = values.std(ddof=1) / np.sqrt(values.size)
    return means, sems
