r"""One step of torch's optimizers as a linear map: what it makes of a curvature, and the curvature it bears.

Near a critical point of a quadratic, with the second moments D held at what they are now, a step is
theta' = theta - eta D^-1 (average of H theta). Every such rule is stable as long as the largest eigenvalue of
D^-1/2 H D^-1/2 stays below c / eta, where a mode begins to alternate in sign with growing size (a root z = -1
of its characteristic polynomial):

    SGD, momentum beta, dampening tau          c = (2 + 2 beta) / (1 - tau)
    SGD with Nesterov's momentum               c = (2 + 2 beta) / (1 + 2 beta)
    Adam, AdamW (beta_1)                       c = (2 + 2 beta_1) / (1 - beta_1)
    RMSprop, momentum mu                       c = 2 + 2 mu
    Adagrad                                    c = 2

(Cohen et al. 2021, arXiv:2103.00065, and 2022, arXiv:2207.14484; the others follow in the same way.) A rate
eta_g of each group goes into D. A penalty (w/2)|theta|^2, as ``weight_decay`` is in all but AdamW, adds w to
H; decoupled decay theta <- (1 - eta w) theta leaves H alone and lowers the limit by the factor 1 - eta w / 2.
``maximize`` turns the sign of H.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, optim

from diagkit.errors import InputError
from diagkit.objective import Objective

Group = dict[str, Any]
State = dict[str, Any]


@dataclass(frozen=True)
class UpdateRule:
    """What of the optimizer matters for stability.

    Attributes
    ----------
    limit : the largest eigenvalue of :meth:`operator` that is stable; inf where nothing moves.
    root [P] : D^-1/2, groups' rates relative to the largest one included; 0 where nothing is moved.
    penalty [P] : w of the L2 penalty. sign : -1 under ``maximize``.
    preconditioned : ``root`` is not 1 everywhere.
    """

    optimizer: str
    limit: float
    root: Tensor
    penalty: Tensor
    sign: float
    preconditioned: bool

    def operator(self, matvec: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        """v -> D^-1/2 (sign H + w) D^-1/2 v for ``matvec`` v -> H v."""
        return lambda v: self.root * (self.sign * matvec(self.root * v) + self.penalty * self.root * v)

    def shift(self) -> float | None:
        """The number by which the operator differs from H, None where it differs by more than a number."""
        flat = bool((self.penalty == self.penalty[0]).all())
        return float(self.penalty[0]) if flat and not self.preconditioned and self.sign > 0 else None


@dataclass(frozen=True)
class _Kind:
    """factor: c. diagonal: D from a parameter's state, None for 1. ready: the state's key that D needs."""

    factor: Callable[[Group], float]
    ready: str | None = None
    diagonal: Callable[[Group, State], Tensor] | None = None
    rate: Callable[[Group, State], float] = lambda group, state: float(group["lr"])


def _sgd_factor(group: Group) -> float:
    beta = float(group["momentum"])
    if group["nesterov"]:
        return (2 + 2 * beta) / (1 + 2 * beta)
    kept = 1 - float(group["dampening"]) if beta else 1.0
    return (2 + 2 * beta) / kept if kept > 0 else math.inf


def _adam_factor(group: Group) -> float:
    beta = float(group["betas"][0])
    return (2 + 2 * beta) / (1 - beta)


def _adam_diagonal(group: Group, state: State) -> Tensor:
    moments = state["max_exp_avg_sq" if group["amsgrad"] else "exp_avg_sq"].double()
    return (moments / (1 - float(group["betas"][1]) ** float(state["step"]))).sqrt() + group["eps"]


def _rmsprop_diagonal(group: Group, state: State) -> Tensor:
    moments = state["square_avg"].double()
    if group["centered"]:
        moments = (moments - state["grad_avg"].double() ** 2).clamp(min=0)
    return moments.sqrt() + group["eps"]


def _adagrad_diagonal(group: Group, state: State) -> Tensor:
    return state["sum"].double().sqrt() + group["eps"]


def _adagrad_rate(group: Group, state: State) -> float:
    return float(group["lr"]) / (1 + float(state["step"]) * float(group["lr_decay"]))


KINDS: dict[type[optim.Optimizer], _Kind] = {
    optim.SGD: _Kind(_sgd_factor),
    optim.Adam: _Kind(_adam_factor, "exp_avg_sq", _adam_diagonal),
    optim.AdamW: _Kind(_adam_factor, "exp_avg_sq", _adam_diagonal),
    optim.RMSprop: _Kind(lambda group: 2 + 2 * float(group["momentum"]), "square_avg", _rmsprop_diagonal),
    optim.Adagrad: _Kind(lambda group: 2.0, "sum", _adagrad_diagonal, _adagrad_rate),
}


def kind_of(optimizer: Any) -> _Kind:
    """How to read this optimizer.

    Raises
    ------
    InputError : no limit is known for it.
    """
    for known, kind in KINDS.items():
        if isinstance(optimizer, known):
            return kind
    raise InputError(
        f"an optimizer of type {type(optimizer).__name__}, for which no stability limit is known",
        allowed=f"one of torch's {', '.join(known.__name__ for known in KINDS)}",
        write="dk.hessian_eigenvalues(obj, 1) for the plain sharpness",
    )


def update_rule(obj: Objective, optimizer: Any) -> UpdateRule:
    """The optimizer's next step, linearized; parameters that it does not move have ``root`` 0.

    Raises
    ------
    InputError : an unknown optimizer; one that holds none of the parameters, or has no second moments yet;
        groups whose momentum or ``maximize`` differ, so that no single limit holds.
    """
    kind, name = kind_of(optimizer), type(optimizer).__name__
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    named = dict(obj.model.named_parameters())
    held = [n for n in obj.layout.names if id(named[n]) in groups]
    if not held:
        raise InputError(
            f"an {name} that holds none of the objective's parameters",
            allowed="the optimizer of the very model that the objective examines",
            write="dk.Objective(model, ...) with the model whose parameters the optimizer was given",
        )
    moved = [n for n in held if kind.ready is None or _has_moments(optimizer.state.get(named[n]), kind.ready)]
    if not moved:
        raise InputError(
            f"an {name} without second moments",
            allowed=f"an {name} that has taken at least one step",
            write="the call after the first optimizer.step()",
        )
    rates = {n: _effective_rate(kind, groups[id(named[n])], optimizer.state.get(named[n], {})) for n in moved}
    fastest = max(rates.values())
    moving = [groups[id(named[n])] for n in moved if rates[n] > 0 or fastest == 0]
    factor = _the_only({kind.factor(group) for group in moving}, "momentum")
    sign = _the_only({-1.0 if group.get("maximize") else 1.0 for group in moving}, "maximize")
    roots, penalties = [], []
    for n, size in zip(obj.layout.names, obj.layout.sizes, strict=True):
        one, root, penalty = torch.ones(size, dtype=torch.float64), 0.0, 0.0
        if n in rates:
            group = groups[id(named[n])]
            relative = rates[n] / fastest if fastest else 1.0
            root, penalty = math.sqrt(relative), 0.0 if _decoupled(group) else float(group["weight_decay"])
            if kind.diagonal is not None:
                one = kind.diagonal(group, optimizer.state[named[n]]).reshape(-1).rsqrt().cpu()
        roots.append(one * root)
        penalties.append(torch.full((size,), penalty, dtype=torch.float64))
    joined = torch.cat(roots)
    return UpdateRule(
        optimizer=name,
        limit=factor / fastest if fastest else math.inf,
        root=_like(joined, obj),
        penalty=_like(torch.cat(penalties), obj),
        sign=sign,
        preconditioned=bool((joined != 1).any()),
    )


def _like(vector: Tensor, obj: Objective) -> Tensor:
    device = obj.layout.device
    return vector.to(device, torch.float32 if device.type == "mps" else torch.float64)


def _has_moments(state: State | None, key: str) -> bool:
    return bool(state) and key in state and float(state.get("step", 1)) > 0  # type: ignore[operator, union-attr]


def _decoupled(group: Group) -> bool:
    return bool(group.get("decoupled_weight_decay", False))


def _effective_rate(kind: _Kind, group: Group, state: State) -> float:
    """The rate that has the same limit without decoupled decay: eta / (1 - eta w / 2)."""
    rate = kind.rate(group, state)
    shrink = 1 - rate * float(group["weight_decay"]) / 2 if _decoupled(group) else 1.0
    if shrink <= 0:
        raise InputError(
            f"lr * weight_decay = {2 * (1 - shrink):.3g}: the decay alone diverges",
            allowed="lr * weight_decay < 2",
        )
    return rate / shrink


def _the_only(values: set[float], what: str) -> float:
    if len(values) > 1:
        raise InputError(
            f"parameter groups with different {what}",
            allowed="groups that differ in lr and weight_decay alone: no single limit holds otherwise",
            write="dk.Objective(..., params=[...]) for the parameters of one group",
        )
    return values.pop()
