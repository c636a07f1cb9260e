r"""Is the learning rate stable for the curvature? Sharpness against the optimizer's limit.

On a quadratic, a method diverges along an eigenvector once its eigenvalue exceeds: gradient descent
2/eta; heavy ball (2 + 2 beta)/eta; Nesterov (2 + 2 beta)/(eta (1 + 2 beta)); Adam with its second moments
held fixed (2 + 2 beta_1)/((1 - beta_1) eta), for the Hessian preconditioned by sqrt(v) (Cohen et al.
2021, arXiv:2103.00065, and 2022, arXiv:2207.14484).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diagkit.objective import Objective
from diagkit.spectral import lanczos


@dataclass(frozen=True)
class Stability:
    """sharpness: largest eigenvalue, preconditioned for Adam. ratio: sharpness / limit; above 1 unstable."""

    sharpness: float
    limit: float
    preconditioned: bool

    @property
    def ratio(self) -> float:
        return self.sharpness / self.limit


def stability(obj: Objective, optimizer: torch.optim.Optimizer, sharpness: float) -> Stability | None:
    """None where no limit is known for this optimizer. ``sharpness``: the plain largest eigenvalue."""
    group = optimizer.param_groups[0]
    rate = float(group["lr"])
    if rate <= 0:
        return None
    if isinstance(optimizer, torch.optim.SGD):
        beta = float(group.get("momentum", 0.0))
        limit = (2 + 2 * beta) / (rate * (1 + 2 * beta if group.get("nesterov") else 1))
        return Stability(sharpness, limit, preconditioned=False)
    if isinstance(optimizer, (torch.optim.Adam, torch.optim.AdamW)):
        scale = _adam_scale(obj, optimizer)
        if scale is None:
            return None
        beta = float(group["betas"][0])
        limit = (2 + 2 * beta) / ((1 - beta) * rate)
        return Stability(_preconditioned(obj, scale), limit, preconditioned=True)
    return None


def _adam_scale(obj: Objective, optimizer: torch.optim.Optimizer) -> Tensor | None:
    """Diagonal sqrt(v_hat) + eps [P], None before the first step."""
    named = dict(obj.model.named_parameters())
    parts = []
    for name in obj.layout.names:
        state = optimizer.state.get(named[name], {})
        if "exp_avg_sq" not in state:
            return None
        group = next(g for g in optimizer.param_groups if any(p is named[name] for p in g["params"]))
        bias = 1 - float(group["betas"][1]) ** float(state["step"])
        parts.append((state["exp_avg_sq"].double() / bias).sqrt() + group["eps"])
    return torch.cat([part.reshape(-1) for part in parts])


def _preconditioned(obj: Objective, scale: Tensor) -> float:
    root = scale.rsqrt()
    with obj.products() as products:
        ends = lanczos(
            lambda v: root * products.matvec(root * v),
            obj.num_params,
            num_highest=1,
            max_products=60,
            tol=1e-2,
            dtype=obj.layout.dtype,
            device=obj.layout.device,
        )
    return float(ends.highest.values[0])
