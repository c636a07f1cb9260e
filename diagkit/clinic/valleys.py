r"""Functions of two parameters to descend: each with its window, a place to start, and known curvature.

Every one is a module in float64 with lowest loss 0, so that losses can be drawn on a logarithmic scale.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from diagkit.errors import InputError
from diagkit.measure import hessian_eigenvalues
from diagkit.objective import Objective

STEEP = 10.0  # the larger curvature of the quadratic valley, and that of the straight walls at their foot


class Surface(nn.Module):
    """x times a height that depends on two parameters w."""

    def __init__(self, height: Callable[[Tensor], Tensor], start: tuple[float, float]) -> None:
        super().__init__()
        self.height = height
        self.w = nn.Parameter(torch.tensor(start, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.height(self.w)


class PlaneThrough(nn.Module):
    """A model seen from two directions only: its parameters are theta + w1 d1 + w2 d2."""

    def __init__(self, obj: Objective, directions: Tensor) -> None:
        super().__init__()
        self.model = copy.deepcopy(obj.model).requires_grad_(False).eval()
        self.layout, self.theta, self.directions = obj.layout, obj.theta, directions
        self.w = nn.Parameter(torch.zeros(2, dtype=directions.dtype, device=directions.device))

    def forward(self, *inputs: Any, **named: Any) -> Any:
        moved = self.layout.split(self.theta + self.w @ self.directions)
        return torch.func.functional_call(self.model, moved, inputs, named)


@dataclass(frozen=True, eq=False)
class Valley:
    """Two parameters, a loss, and what of it is shown.

    Attributes
    ----------
    formula : in TeX. start (w1, w2). centre, extent : the window reaches from centre - extent to centre +
        extent in both parameters.
    """

    name: str
    formula: str
    model: nn.Module
    loss_fn: Callable[..., Tensor]
    data: Any
    start: tuple[float, float]
    centre: tuple[float, float] = (0.0, 0.0)
    extent: float = 3.0

    def objective(self) -> Objective:
        """The loss as a function of w, standing at the start."""
        return Objective(self.model, self.loss_fn, self.data).at(list(self.start))


def height(output: Tensor, target: Tensor) -> Tensor:
    """The mean output: the surface itself is the loss."""
    return output.mean()


def quadratic(w: Tensor) -> Tensor:
    """Curvatures 1 and 10."""
    return 0.5 * (w[0] ** 2 + STEEP * w[1] ** 2)


def straight_walls(w: Tensor) -> Tensor:
    """Convex; across, the curvature is 10 / (1 + w2^2)^(3/2): 10 at the foot, none higher up.

    Gradient descent at a rate over 2/10 ends in a swing between +-s, where (eta 10 / 2)^2 = 1 + s^2.
    """
    return 0.5 * w[0] ** 2 + STEEP * ((1 + w[1] ** 2).sqrt() - 1)


def banana(w: Tensor) -> Tensor:
    """Rosenbrock's function with 5 in place of 100: a bent valley with its lowest point at (1, 1)."""
    return (1 - w[0]) ** 2 + 5 * (w[1] - w[0] ** 2) ** 2


def saddle(w: Tensor) -> Tensor:
    """Curvatures -1 and 4 at 0; two lowest points at w1 = +-1."""
    return 0.25 * (w[0] ** 2 - 1) ** 2 + 2 * w[1] ** 2


def two_factors(w: Tensor) -> Tensor:
    """Lowest all along w1 w2 = 1, where the curvature across is w1^2 + w2^2."""
    return 0.5 * (w[0] * w[1] - 1) ** 2


# name: function, formula, start, centre and half-width of the window
SURFACES: dict[str, tuple[Any, str, tuple[float, float], tuple[float, float], float]] = {
    "quadratic": (quadratic, r"$\frac{1}{2}(w_1^2 + 10\,w_2^2)$", (-2.5, 1.5), (0.0, 0.0), 3.0),
    "straight walls": (
        straight_walls,
        r"$\frac{1}{2}w_1^2 + 10\,(\sqrt{1 + w_2^2} - 1)$",
        (-2.5, 1.5),
        (0.0, 0.0),
        3.0,
    ),
    "banana": (banana, r"$(1 - w_1)^2 + 5\,(w_2 - w_1^2)^2$", (-1.5, 2.5), (0.0, 1.0), 2.0),
    "saddle": (saddle, r"$\frac{1}{4}(w_1^2 - 1)^2 + 2\,w_2^2$", (0.01, 1.5), (0.0, 0.0), 2.0),
    "two factors": (two_factors, r"$\frac{1}{2}(w_1 w_2 - 1)^2$", (3.0, 0.5), (1.25, 1.25), 2.25),
}

VALLEYS = tuple(SURFACES)


def valley(name: str) -> Valley:
    """One of the valleys by name.

    Raises
    ------
    InputError : no such valley.

    Example
    -------
    >>> valley("banana").objective().loss([1.0, 1.0])
    0.0
    """
    if name not in SURFACES:
        raise InputError(f"valley {name!r}", allowed=f"one of {list(SURFACES)}")
    surface, formula, start, centre, extent = SURFACES[name]
    one = torch.ones(1, 1, dtype=torch.float64)
    return Valley(name, formula, Surface(surface, start), height, (one, one), start, centre, extent)


def valley_through(
    model: nn.Module, loss_fn: Callable[..., Tensor], data: Any, *, extent: float = 1.0
) -> Valley:
    """A model of any size as a valley: the plane through it along its two largest curvatures.

    One with two parameters is taken as it is. Nothing of the model is changed.

    Example
    -------
    >>> X = torch.tensor([[3.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0]]) * 3**0.5
    >>> net = nn.Linear(3, 1, bias=False)
    >>> obj = valley_through(net, lambda out, y: ((out - y) ** 2).mean() / 2, (X, X[:, :1])).objective()
    >>> [round(float(value), 3) for value in torch.linalg.eigvalsh(obj.hessian())]
    [4.0, 9.0]
    """
    obj = Objective(model, loss_fn, data)
    if obj.num_params < 2:
        raise InputError(f"a model with {obj.num_params} parameter", allowed="two or more")
    formula, name = r"$L$", type(model).__name__
    if obj.num_params == 2:
        here = (float(obj.theta[0]), float(obj.theta[1]))
        return Valley(name, formula, model, loss_fn, data, here, here, extent)
    found = torch.as_tensor(hessian_eigenvalues(obj, 2).vectors)
    plane = PlaneThrough(obj, found.to(obj.theta))
    return Valley(name, formula, plane, loss_fn, data, (0.0, 0.0), (0.0, 0.0), extent)
