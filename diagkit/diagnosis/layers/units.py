"""Which units have a slope left: ReLU where some example activates it, sigmoid and tanh in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from diagkit.measure.price import Bill, check_objective
from diagkit.objective import Objective
from diagkit.result import Result
from diagkit.work import interrupted, progress

if TYPE_CHECKING:
    import pandas as pd

FLAT_END = 0.05  # of the steepest slope: tanh beyond +-2.2, sigmoid beyond +-4.4
# Slope of the activation at its output y, over its steepest.
SLOPES: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": lambda y: (y > 0).double(),
    "relu6": lambda y: ((y > 0) & (y < 6)).double(),
    "sigmoid": lambda y: 4 * y * (1 - y),
    "tanh": lambda y: 1 - y**2,
}
ONE_SIDED = ("relu", "relu6")  # exactly flat on one side
KINDS: dict[Any, str] = {
    getattr(place, name + end): name
    for name in ("relu", "sigmoid", "tanh")
    for place in (F, torch, Tensor)
    for end in ("", "_")
    if hasattr(place, name + end)
}
KINDS[F.relu6] = "relu6"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class UnitSlopes(Result):
    r"""The slope that is left in the units of each of L activations, in the order of execution.

    Attributes
    ----------
    names [L] : of the layer that feeds the activation; kinds [L] : "relu", "relu6", "sigmoid", "tanh".
    num_units [L] : channels of images, entries of the last axis elsewhere.
    slopes [L] : mean slope over units and examples, as a share of the steepest (1 for ReLU and tanh, 1/4 for
        sigmoid).
    shut [L] : share of units whose slope is 0 for every example seen, exactly; more examples can only make it
        smaller.
    stuck [L] : share of units whose mean slope over the examples is at most 5 % of the steepest.
    stuck_sems [L] : its binomial standard error over the units.
    num_examples : seen.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    num_units: np.ndarray
    slopes: np.ndarray
    shut: np.ndarray
    stuck: np.ndarray
    num_examples: int

    @property
    def stuck_sems(self) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.sqrt(self.stuck * (1 - self.stuck) / self.num_units)

    def of(self, *kinds: str) -> np.ndarray:
        """Rows of these kinds of activation."""
        return np.flatnonzero([kind in kinds for kind in self.kinds])

    def summary(self) -> dict[str, Any]:
        if not self.names:
            return {"activations": 0}
        worst = int(np.argmax(self.stuck))
        return {
            "activations": len(self.names),
            "most_stuck": f"{self.kinds[worst]} behind {self.names[worst]} ({100 * self.stuck[worst]:.3g} %)",
            "shut": float(self.shut[worst]),
            "slope": float(self.slopes[worst]),
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per activation."""
        import pandas as pd

        columns = {"kind": self.kinds, "units": self.num_units, "slope": self.slopes, "shut": self.shut}
        columns |= {"stuck": self.stuck, "stuck_sem": self.stuck_sems}
        return pd.DataFrame(columns, index=pd.Index(self.names, name="layer"))


@dataclass
class _Units:
    name: str
    kind: str
    seen: int = 0
    total: Tensor | None = None  # [units], sum of slopes over examples and places
    open: Tensor | None = None  # [units], not 0 somewhere
    places: int = 0


@dataclass
class _Listener(TorchFunctionMode):
    """Hears activations whether they are modules, functions or methods, and the weights used before them."""

    names: dict[int, str] = field(default_factory=dict)  # id of a weight -> its layer
    calls: list[_Units] = field(default_factory=list)
    last: str = ""
    at: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def begin(self, names: dict[int, str]) -> None:
        self.names, self.last, self.at = names, "", 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        for argument in (*args, *(kwargs or {}).values()):
            self.last = self.names.get(id(argument), self.last)
        kind = KINDS.get(func)
        if kind is not None and isinstance(output, Tensor) and output.ndim >= 2:
            self._add(kind, output.detach())
        return output

    def _add(self, kind: str, y: Tensor) -> None:
        if self.at == len(self.calls):
            self.calls.append(_Units(self.last or "the inputs", kind))
        call, self.at = self.calls[self.at], self.at + 1
        # Units of an image are its channels; of everything else, the entries of the last axis.
        rows = (y.movedim(1, -1) if y.ndim >= 4 else y).flatten(0, -2)
        slope = SLOPES[kind](rows.double() if rows.device.type != "mps" else rows.float())
        if call.total is not None and call.total.shape != slope.shape[1:]:
            return  # another number of units than before, as with sequences of several lengths
        call.total = slope.sum(0) if call.total is None else call.total + slope.sum(0)
        alive = (slope > 0).any(0)
        call.open = alive if call.open is None else call.open | alive
        call.places += len(slope)
        call.seen += 1


def unit_slopes(obj: Objective) -> UnitSlopes:
    r"""For each unit u with activation phi, the mean of phi'(z_nu) / max phi' over the examples n.

    A unit passes back to its weights the gradient that arrives times phi'(z_nu). Where that is 0 for every
    example the weights in front of it get no gradient at all, whatever the loss: a dead ReLU. Sigmoid and
    tanh come arbitrarily near to 0 on their flat ends, exactly 0 in floating point beyond. In evaluation
    mode; one forward pass.

    Activations are heard as modules, functions and methods (ReLU, ReLU6, sigmoid, tanh); those inside fused
    kernels, such as the gates of an LSTM, are not. A model without any has L = 0.

    Raises
    ------
    InputError : something else than an Objective.

    Example
    -------
    >>> import torch, diagkit as dk
    >>> net = torch.nn.Sequential(torch.nn.Linear(1, 2, bias=False), torch.nn.ReLU(), torch.nn.Linear(2, 1))
    >>> _ = net[0].weight.data.copy_(torch.tensor([[1.0], [-1.0]]))
    >>> found = unit_slopes(dk.Objective(net, torch.nn.MSELoss(), (torch.ones(4, 1), torch.zeros(4, 1))))
    >>> found.names, found.kinds, found.shut, found.slopes
    (('0',), ('relu',), array([0.5]), array([0.5]))
    """
    check_objective(obj)
    obj.ranks.refuse("the activations of single examples")
    bill, fixed, done = Bill(obj), obj.fixed, 0
    parameters = obj.layout.split(obj.theta)
    listener = _Listener()

    def forward(index: int) -> None:
        # The very tensors that the layers hold inside; norms and embeddings count as layers, too.
        held = dict(fixed.model.named_parameters())
        listener.begin({id(p): name.rpartition(".")[0] or name for name, p in held.items()})
        with listener:
            fixed.step(fixed.model, obj.batches[index].payload)

    with fixed.quiet(), torch.no_grad(), progress("units", len(obj.batches)) as advance:
        for index in range(len(obj.batches)):
            if done and interrupted():
                break
            fixed.within(parameters, partial(forward, index))
            done += 1
            advance(1)
    obj.meter.num_evals += 1
    calls = [call for call in listener.calls if call.total is not None and call.places]
    means = [(call.total / call.places).cpu().numpy() for call in calls if call.total is not None]
    return UnitSlopes(
        names=tuple(call.name for call in calls),
        kinds=tuple(call.kind for call in calls),
        num_units=np.array([len(mean) for mean in means], dtype=int),
        slopes=np.array([mean.mean() for mean in means]),
        shut=np.array([float((~call.open).double().mean()) for call in calls if call.open is not None]),
        stuck=np.array([float((mean <= FLAT_END).mean()) for mean in means]),
        num_examples=sum(batch.size for batch in obj.batches[:done]),
        complete=done == len(obj.batches),
        **bill.paid(),
    )
